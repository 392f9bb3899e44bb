import pLimit, { type LimitFunction } from 'p-limit'
import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import { exchangeJointly, type Link } from '../link.ts'
import { payerOf } from '../payer.ts'
import type { SingleLimit } from '../single-limit.ts'
import type { JointTable, Operation, Reply } from '../store/store.ts'
import { UnderWay } from '../under-way.ts'
import type { HardChecks } from './hard-checks.ts'
import { type Heard, TAKES, toldTo } from './take-queue.ts'

/** The limits' decisions, in order, and the store's answers that told them; undefined: not the store's. */
export interface JointlyTaken {
  readonly decisions: readonly Decision[]
  readonly heard: readonly (Heard | undefined)[]
}

interface Waiter {
  resolve(taken: JointlyTaken): void
  reject(error: unknown): void
}

/** Costs asked for the same keys, one key per limit. */
interface Takes {
  readonly keys: readonly string[]
  readonly costs: number[]
  readonly waiters: Waiter[]
}

class Batch {
  readonly takes = new Map<string, Takes>()

  /** @param deadline of its oldest check, monotonic */
  constructor(readonly deadline: number) {}
}

/**
 * Asks the store about several limits at once: takes from all or none, or peeks at each. With a reserve, the last
 * limit, it takes from that if the others are used up. Checks that arrive while commands are in flight share the next
 * one.
 */
export class JointTakes {
  private readonly links: readonly [Link, ...Link[]]
  private open: Batch | undefined
  private readonly sending: LimitFunction
  private readonly underWay = new UnderWay()

  constructor(
    private readonly joint: JointTable,
    private readonly limits: readonly SingleLimit[],
    private readonly reserve: boolean,
    private readonly clock: Clock,
    private readonly timeout: number,
    private readonly asking = TAKES,
  ) {
    this.links = limits.map(({ link }) => link) as [Link, ...Link[]]
    this.sending = pLimit(asking.inFlight)
  }

  /** @param keys one for each limit */
  take(keys: readonly string[], cost: number): Promise<JointlyTaken> {
    return new Promise((resolve, reject) => {
      const { takes } = this.batch()
      const id = JSON.stringify(keys)
      const same = takes.get(id)
      if (same === undefined) takes.set(id, { keys, costs: [cost], waiters: [{ resolve, reject }] })
      else {
        same.costs.push(cost)
        same.waiters.push({ resolve, reject })
      }
    })
  }

  private batch(): Batch {
    if (this.open !== undefined && this.open.takes.size < this.asking.mostKeys) return this.open
    const batch = new Batch(this.clock.monotonic() + this.timeout)
    this.open = batch
    void this.underWay.add(this.sending(() => this.send(batch)))
    return batch
  }

  /** Resolves when all that was begun has its answer. */
  idle(): Promise<void> {
    return this.underWay.idle()
  }

  private async send(batch: Batch): Promise<void> {
    if (this.open === batch) this.open = undefined
    const { joint, links, clock, reserve } = this
    const { asking } = this
    const { what, extras } = asking
    const takes = [...batch.takes.values()]
    const operations = links.map((_, at) =>
      takes.map(({ keys, costs }): Operation => {
        const key = keys[at] as string
        return what === 'take' ? [what, key, ...costs] : [what, key]
      }),
    )
    let replies: readonly Reply[]
    try {
      replies = await exchangeJointly(links, joint, clock, operations, batch.deadline, reserve, extras.once)
    } catch (error) {
      for (const take of takes) this.answerWithout(take, error)
      return
    }
    for (const [place, { waiters }] of takes.entries()) {
      const results = replies.map((reply) => reply.results[place] as readonly Decision[])
      for (const [turn, { resolve }] of waiters.entries())
        resolve({ decisions: results.map((its) => toldTo(turn, its, asking)), heard: replies })
    }
  }

  private answerWithout({ keys, costs, waiters }: Takes, error: unknown): void {
    for (const [turn, { resolve, reject }] of waiters.entries()) {
      try {
        resolve({ decisions: this.decideWithout(error, keys, costs[turn] as number), heard: [] })
      } catch (failure) {
        reject(failure)
      }
    }
  }

  /** Decides by the outage rule, each limit by itself; what some allow is taken back if others refuse. */
  private decideWithout(error: unknown, keys: readonly string[], cost: number): Decision[] {
    if (this.asking.what === 'peek')
      return this.limits.map(({ hard }, at) =>
        (hard as HardChecks).unanswered(error, keys[at] as string, cost, false),
      )
    const decisions = this.limits.map(({ hard }, at) => {
      const checks = hard as HardChecks
      const key = keys[at] as string
      return at === 0 ? checks.without(error, key, cost) : checks.unanswered(error, key, cost, true)
    })
    const last = decisions.length - 1
    const payer = this.reserve
      ? payerOf(decisions.slice(0, -1), decisions[last])
      : payerOf(decisions, undefined)
    for (const [at, decision] of decisions.entries()) {
      if (!decision.allowed || payer === (this.reserve && at === last ? 'reserve' : 'limits')) continue
      this.limits[at]?.hard?.giveBack(keys[at] as string, cost, { decision, heard: undefined })
    }
    return decisions
  }
}
