import { type Checks, type Resetting, refundOf, type TakenThen } from '../checks.ts'
import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import { OutageRule } from '../outage.ts'
import type { Operation } from '../store/store.ts'
import { UnderWay } from '../under-way.ts'
import { peeksOf, receiptOf, type Taken, TakeQueue, type Told } from './take-queue.ts'

const itself: Told<Decision> = (decision) => decision

/** The store decides every check, atomically. */
export class HardChecks implements Checks {
  private readonly queue: TakeQueue
  private readonly peeks: TakeQueue
  private readonly outage: OutageRule
  private uncertain = 0
  private readonly underWay = new UnderWay()

  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
  ) {
    this.queue = new TakeQueue(link, settings.clock, settings.timeout, (error, key, cost) =>
      this.without(error, key, cost),
    )
    this.peeks = new TakeQueue(
      link,
      settings.clock,
      settings.timeout,
      (error, key, cost) => this.unanswered(error, key, cost, false),
      peeksOf(settings.limit),
    )
    this.outage = new OutageRule(settings)
  }

  check(key: string, cost: number): Promise<Decision> {
    return this.checkTelling(key, cost, itself)
  }

  /** As `check`. @param told gets the decision; the answer is what it returns */
  checkTelling(key: string, cost: number, told: Told<Decision>): Promise<Decision> {
    return this.queue.take(key, cost, told)
  }

  /** As `check`, so that it can be given back. */
  take(key: string, cost: number): Promise<Taken> {
    return this.queue.takeNoting(key, cost)
  }

  /** The answer to a check that the store did not answer. @throws the error, if the rule is to throw */
  without(error: unknown, key: string, cost: number): Decision {
    if (error instanceof StoreError && error.uncertain) this.uncertain++
    return this.unanswered(error, key, cost, true)
  }

  /** Gives back what was taken for nothing. If the store is away, that stays taken until it expires. */
  giveBack(key: string, cost: number, { decision, heard }: Taken): void {
    if (heard === undefined) {
      this.outage.undo(key, cost, this.link.table.now())
      return
    }
    const receipt = receiptOf(heard, key, decision, cost, this.settings.limit)
    // Only `flush` and `close` wait for this.
    void this.underWay.add(this.link.giveBack(key, cost, receipt))
  }

  /** As `without`, not counted as uncertain. */
  unanswered(error: unknown, key: string, cost: number, consume: boolean): Decision {
    if (!(error instanceof StoreError)) throw error
    return this.outage.decide(key, cost, this.link.table.now(), this.link.retryAfterMs, error, consume)
  }

  peek(key: string): Promise<Decision> {
    return this.peeks.take(key, 1, itself)
  }

  async refund(key: string, cost: number, then?: TakenThen): Promise<void> {
    // The store has taken nothing.
    if (then !== undefined && then.receipt === undefined) return
    const operation: Operation =
      then?.receipt === undefined ? ['refund', key, cost] : refundOf(key, cost, then.stays, then.receipt)
    await this.link.carryOut(operation)
  }

  reset(key: string): Resetting {
    return { operation: ['reset', key], undo: () => {} }
  }

  learn(): void {}

  flush(): Promise<void> {
    return this.underWay.idle()
  }

  async close(): Promise<void> {
    await this.queue.idle()
    await this.peeks.idle()
    await this.flush()
  }

  stats(): ReturnType<Checks['stats']> {
    return {
      pending: 0,
      keys: 0,
      syncLagMs: 0,
      expired: 0,
      uncertain: this.uncertain,
      evictedInWindow: 0,
      estimatedOvershoot: 0,
    }
  }
}
