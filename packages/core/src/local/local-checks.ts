import { type Algorithm, isBucket, isWindow } from '../algorithms/algorithm.ts'
import { type Checks, type Resetting, refundOf, type TakenThen } from '../checks.ts'
import { DRIFT } from '../clock.ts'
import { othersIn, type Receipt, type Standing } from '../decider.ts'
import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import { type InUse, NOTHING_GIVEN, type Operation, type Snapshot } from '../store/store.ts'
import { Burst } from './burst.ts'
import { JointChecks } from './joint-checks.ts'
import type { Ledger } from './ledger.ts'
import { LocalDecisions } from './local-decisions.ts'
import type { LocalKey } from './local-key.ts'
import { Moment } from './moment.ts'
import { Settling } from './settling.ts'
import { Sync } from './sync.ts'
import { WaitingChecks } from './waiting-checks.ts'

/**
 * This node's RAM decides: by the store's last state and what is pending (soft), or out of quota that the store has
 * booked for it (`strict`: leased, and soft with `maxOvershoot`). What was admitted is settled afterwards.
 */
export class LocalChecks implements Checks {
  readonly decisions: LocalDecisions
  readonly joint: JointChecks
  private readonly sync: Sync
  private readonly settling: Settling
  private readonly waiting: WaitingChecks

  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    burst = new Burst(settings.clock),
  ) {
    this.sync = new Sync(link, settings, (key, error) => this.waiting.serve(key, error))
    this.settling = new Settling(link, settings, this.sync)
    const moment = new Moment(link.table, burst, settings.limit.window)
    this.decisions = new LocalDecisions(link, settings, this.sync, moment, (local, cost, consume) =>
      this.waiting.wait(local, cost, consume),
    )
    this.waiting = new WaitingChecks(settings, this.sync, this.decisions)
    this.joint = new JointChecks(link, settings, this.sync, this.decisions, this.waiting)
  }

  checkSync(key: string, cost: number): Decision {
    const local = this.decisions.keyOf(key)
    return local === undefined
      ? this.decisions.outageDecision(key, cost, true)
      : this.decisions.checkSync(local, cost)
  }

  check(key: string, cost: number): Decision | Promise<Decision> {
    return this.warm(key, cost, true)
  }

  async peek(key: string): Promise<Decision> {
    return this.warm(key, 1, false)
  }

  private warm(key: string, cost: number, consume: boolean): Decision | Promise<Decision> {
    const local = this.decisions.keyOf(key)
    return local === undefined
      ? this.decisions.outageDecision(key, cost, consume)
      : this.decisions.check(local, cost, consume)
  }

  /**
   * To be called before a check: returns what makes the receipt of its decision, or undefined if the store was not
   * heard. What the node hears meanwhile to have gone back may be what the check counted as in use: the receipt takes
   * it to go back afterwards.
   */
  receipt(key: string, cost: number): (standing: Standing) => Receipt | undefined {
    const { link, sync } = this
    const { clock, timeout } = this.settings
    const before = sync.keys.find(key)
    const { given = NOTHING_GIVEN, letGoInAll = 0, pace: paceBefore, slice: sliceBefore = -1 } = before ?? {}
    const bookedBefore = paceBefore?.countsAsUsed ?? 0
    // By an earlier reading, the check's cost would lie before the receipt's time, as if it were another's.
    this.decisions.readAnew()
    const asked = clock.monotonic()
    // A key's slice never goes back: if it is still this one afterwards, the cost was counted in it.
    const sliceThen = Math.max(sliceBefore, Math.floor(link.table.now() / this.settings.limit.window))
    // The answer last heard of the key had been under way for no longer than `timeout`.
    const ago = before === undefined ? 0 : (asked - before.heardAt + timeout) * (1 + DRIFT)
    const { earliest } = link
    return (standing) => {
      const { marker } = sync
      const at = Math.floor(Math.max(earliest, link.earliest - (clock.monotonic() - asked)))
      if (marker === undefined || at === -Infinity) return undefined
      // The most that the decision may have counted as used because it is booked for other nodes.
      const booked = Math.max(bookedBefore, sync.keys.find(key)?.pace.countsAsUsed ?? 0)
      const heard = Math.floor(Math.min(at - 1, at - ago))
      const others = othersIn(standing, cost, { booked, given, heard }, this.settings.limit)
      const letGo = { cost: letGoInAll, at: clock.monotonic() }
      const slice = sync.keys.find(key)?.slice
      return { at, marker, others, letGo, slice: slice === sliceThen ? slice : undefined }
    }
  }

  /** Withdraws demand for cost that was given back; for a key that was reset, all of it. */
  withdraw(key: string, cost: number): void {
    this.sync.keys.find(key)?.withdraw(cost)
  }

  /** Settles what this node owes of the key, and has it read again with the next interval. */
  async settle(key: string): Promise<void> {
    const local = this.sync.keys.find(key)
    if (local === undefined) return
    await this.settling.settle(local)
    this.sync.readLater(local)
  }

  async refund(key: string, cost: number, then?: TakenThen): Promise<void> {
    if (!isWindow(this.settings.limit)) return this.refundByStore(key, cost, then)
    const receipt = then?.receipt
    const isKept = receipt === undefined || this.keptSince(key, receipt) !== undefined
    await this.peek(key)
    const local = this.sync.keys.find(key)
    if (local === undefined) return this.refundThere(key, cost, then)
    // This node restored what the store has lost only if it still had the key.
    if (!isKept && local.known && receipt.marker !== this.sync.marker) return
    // A node can give back what it admitted itself without having heard of the others; not what it did in an earlier
    // stay of the key in RAM.
    const mayGoBack = local.known || isKept
    const { table, earliest } = this.link
    const at = then && takenAt(then)
    const back = mayGoBack ? local.refund(table.now(), cost, at, receipt?.slice, earliest) : 0
    if (!local.known && back === 0)
      throw new StoreError('ERR_STORE_AWAY', 'the store did not answer: nothing was given back')
    local.withdraw(cost)
    this.sync.outbox.queue(local)
    await this.settling.settle(local)
  }

  /**
   * Gives back what of a bucket or a log still counts: only the store knows what others were given back meanwhile, and
   * which entries are whose. With the store away nothing goes back, `then` or not: by the time it could be told, what
   * was taken has drained or grown old, and as much would go out of what others took.
   */
  private async refundByStore(key: string, cost: number, then?: TakenThen): Promise<void> {
    const local = this.sync.keys.find(key)
    if (local !== undefined) await this.settling.settle(local)
    await this.refundThere(key, cost, then)
    this.withdraw(key, cost)
  }

  /** Refunds by the store alone, which has all that was admitted of the key, even of one that was pushed out of RAM. */
  private async refundThere(key: string, cost: number, then?: TakenThen): Promise<void> {
    const operation: Operation = then === undefined ? ['refund', key, cost] : this.refundOf(key, cost, then)
    this.learn((await this.link.carryOut(operation)) as Snapshot)
  }

  /**
   * If the store lost its data, what others took is no longer in use, but this node has restored what it took itself.
   */
  private refundOf(key: string, cost: number, then: TakenThen): Operation {
    const { stays, receipt } = then
    const at = takenAt(then)
    if (receipt !== undefined && receipt.marker === this.sync.marker && isBucket(this.settings.limit))
      return refundOf(key, cost, stays, { ...receipt, others: this.othersNow(key, receipt) })
    if (receipt !== undefined && this.keptSince(key, receipt) === undefined)
      return ['refund', key, cost, at, stays, receipt.marker]
    // It was restored to the store that this node knows, not to one that has lost it since.
    const { marker } = this.sync
    return marker === undefined ? ['refund', key, cost, at, stays] : ['refund', key, cost, at, stays, marker]
  }

  /** The key, if it was in RAM all the time since. */
  private keptSince(key: string, { letGo }: Receipt): LocalKey | undefined {
    const local = this.sync.keys.find(key)
    return letGo !== undefined && local !== undefined && local.since <= letGo.at ? local : undefined
  }

  /**
   * What others had in use, less what went back in RAM alone since: for a key that was forgotten meanwhile, that may be
   * all.
   */
  private othersNow(key: string, receipt: Receipt): InUse {
    const local = this.keptSince(key, receipt)
    const less = local === undefined ? Infinity : Math.max(0, local.letGoInAll - (receipt.letGo?.cost ?? 0))
    const [used, drained, ...rest] = receipt.others
    return used > less ? [used - less, drained, ...rest] : [0, 0, ...rest]
  }

  /** The limit was changed from `before` while it runs: the held keys go by the new one from here on. */
  limitChanged(before: Algorithm): void {
    const { clock, limit, mode } = this.settings
    this.decisions.limitChanged()
    const earlier = limit.with([before.limit, ...limit.parameters.slice(1)])
    const now = this.link.table.now()
    for (const local of this.sync.keys) {
      // What has drained so far drained by the old limit.
      before.usage(local.state, now)
      local.limit = limit
      if (mode === 'leased') keepLease(local.current, earlier)
      this.sync.pacing.plan(local, now, clock.monotonic())
      // If a bucket drains more slowly now, what is owed may count for longer than it is kept.
      if (local.owes) this.sync.outbox.queue(local)
    }
  }

  reset(key: string): Resetting {
    const local = this.sync.keys.find(key)
    if (local === undefined) return { operation: ['reset', key], undo: () => {} }
    const { current, slice } = local
    local.dropHeld(this.link.table.now())
    const booked = current.allowance
    local.giveUp()
    return {
      operation: ['reset', key, slice, current.granted],
      undo: () => this.takeUp(local, current, booked),
    }
  }

  /** Takes back quota that was given up, as far as the store can't know of that. */
  private takeUp(local: LocalKey, ledger: Ledger, booked: number): void {
    local.takeUp(ledger, booked)
    this.sync.pacing.plan(local, this.link.table.now(), this.settings.clock.monotonic())
  }

  /**
   * Gives back all quota that is booked for the key, and asks for none in its place.
   *
   * @throws StoreError where the store does not acknowledge it
   */
  async giveUp(key: string): Promise<void> {
    const local = this.sync.keys.find(key)
    // A second time for quota that an answer under way booked.
    for (let times = 0; times < 2 && (local?.unsettled || local?.current.isBooked); times++) {
      const { current, offered } = local
      const booked = current.allowance
      local.withdraw(Infinity)
      local.giveUp()
      try {
        await this.settling.settle(local)
      } catch (error) {
        local.offered += offered
        this.takeUp(local, current, booked)
        throw error
      }
    }
  }

  /** What a verb of this node came to. A key that it blocked is held from here on: `checkSync` would admit one that it does not know. */
  learn(snapshot: Snapshot): void {
    if (snapshot.blockedUntil > this.link.table.now()) this.decisions.keyOf(snapshot.key)
    this.sync.takeSnapshot(snapshot)
  }

  /** Has the ticks ask whether the store is back, since no check need. */
  storeAway(): void {
    this.sync.outbox.storeAway()
  }

  flush(): Promise<void> {
    return this.settling.flush()
  }

  close(): Promise<void> {
    return this.settling.close()
  }

  stats(): ReturnType<Checks['stats']> {
    const { sync } = this
    const { pending } = sync
    return {
      pending,
      keys: sync.keys.size,
      syncLagMs: Math.round(this.settings.clock.monotonic() - sync.heardAt),
      expired: sync.expired,
      uncertain: 0,
      evictedInWindow: sync.keys.evicted,
      estimatedOvershoot: this.settings.strict ? this.settings.extra : pending * (sync.pacing.nodes - 1),
    }
  }
}

/**
 * The earliest store time at which it was taken. By the store's clock now, `at` may be later than by its clock then,
 * and lie after a reset, or in a window, to which the take does not belong.
 */
function takenAt({ at, receipt }: TakenThen): number {
  return receipt === undefined ? at : Math.min(at, receipt.at)
}

/** Keeps what is booked valid, under the highest limit by which it may have been booked. */
function keepLease(ledger: Ledger, earlier: Algorithm): void {
  if (ledger.allowance === 0) return
  const highest = Math.max(earlier.limit, ledger.lease?.limit.limit ?? 0)
  const limit = highest === earlier.limit ? earlier : earlier.with([highest, ...earlier.parameters.slice(1)])
  ledger.lease = { limit, granted: ledger.granted }
}
