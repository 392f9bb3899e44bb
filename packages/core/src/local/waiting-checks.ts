import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { LimitSettings } from '../options.ts'
import { Deadlines } from './deadlines.ts'
import type { Waiter } from './key-record.ts'
import type { LocalDecisions } from './local-decisions.ts'
import type { LocalKey } from './local-key.ts'
import type { Sync } from './sync.ts'

/** The checks that wait until the store was heard of their keys, or has not answered in time. */
export class WaitingChecks {
  private readonly deadlines: Deadlines

  constructor(
    private readonly settings: LimitSettings,
    private readonly sync: Sync,
    private readonly decisions: LocalDecisions,
  ) {
    this.deadlines = new Deadlines(settings.clock, (key) => this.expire(key))
  }

  wait(
    local: LocalKey,
    cost: number,
    consume: boolean,
    deadline = this.settings.clock.monotonic() + this.settings.timeout,
  ): Promise<Decision> {
    return new Promise((resolve, reject) => {
      this.waitFor(local, { cost, consume, deadline, resolve, reject })
    })
  }

  waitFor(local: LocalKey, waiter: Waiter): void {
    local.wait(waiter)
    this.deadlines.add(local, waiter.deadline)
    this.sync.outbox.queueAtOnce(local)
  }

  /** Answers the checks that wait for a key, in order; those that must go on waiting stay. */
  serve(local: LocalKey, error: unknown): void {
    if (local.waiting.length === 0) return
    const now = this.settings.clock.monotonic()
    let ahead = 0
    for (const waiter of local.takeWaiting()) {
      try {
        const decision = error === undefined ? this.answer(local, waiter, ahead) : undefined
        const isLast = this.sync.pacing.closing || (waiter.isPart && waiter.asked)
        if (decision !== undefined && (isLast || decision.reason !== 'sync')) waiter.resolve(decision)
        else if (error === undefined && now < waiter.deadline) {
          local.wait(waiter)
          ahead += waiter.cost
        } else waiter.resolve(this.decisions.unanswered(local, waiter.cost, waiter.consume, error), true)
      } catch (failure) {
        waiter.reject(failure)
      }
    }
  }

  /** Answers the checks that have waited long enough; the others go on. */
  private expire(local: LocalKey): void {
    const now = this.settings.clock.monotonic()
    const message = 'the store was not asked in time: more keys are asked about than it answers'
    for (const waiter of local.takeWaiting()) {
      if (now < waiter.deadline) {
        local.wait(waiter)
        continue
      }
      try {
        const error = new StoreError('ERR_STORE_TIMEOUT', message)
        waiter.resolve(this.decisions.unanswered(local, waiter.cost, waiter.consume, error), true)
      } catch (failure) {
        waiter.reject(failure)
      }
    }
  }

  /**
   * The store has just been heard. A peek books nothing, but is told that a check would get what nobody has booked.
   *
   * @param ahead cost that earlier checks still wait for: what is left is theirs, and nobody waits for what comes after
   */
  private answer(local: LocalKey, { cost, consume, isPart }: Waiter, ahead: number): Decision {
    const { decisions } = this
    const decision = decisions.decide(local, cost, consume, true)
    if (decision.reason !== 'sync') return decision
    if (!consume) return decisions.foreseen(local, cost)
    return ahead > 0 && !isPart ? (decisions.outstripped(local, cost, ahead) ?? decision) : decision
  }
}
