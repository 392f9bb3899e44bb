import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import type { LocalKey } from './local-key.ts'
import type { Sync } from './sync.ts'

/** How often a limiter that closes tries to settle with a store that is not known to be away. */
const CLOSING_TRIES = 3
/** Settling is given up after this many answers that do not acknowledge what was sent. */
const MOST_PASSES = 20

/**
 * Settles what is owed for a caller who waits until the store has acknowledged it, in passes that each send all of it
 * once.
 */
export class Settling {
  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly sync: Sync,
  ) {}

  /** Settles all that is owed at the call. @throws StoreError where the store does not acknowledge it */
  async flush(): Promise<void> {
    // A store that was away may have lost its data: its answer tells, and what it lost is owed again.
    if (this.link.away && this.sync.keys.size > 0) await this.pass([])
    // Nearly all keys that owe something are queued: those are not looked at any closer, nor again once they have
    // settled.
    const others: LocalKey[] = []
    for (const key of this.sync.keys.unqueued()) if (key.unsettled) others.push(key)
    if (others.length === 0 && !this.isAnyQueued()) return
    await this.pass(others)
    // Keys that still owe something are queued again.
    await this.pay([...this.sync.keys.underWay()])
  }

  private hasFlushed(): Promise<boolean> {
    return this.flush().then(
      () => true,
      () => false,
    )
  }

  private isAnyQueued(): boolean {
    for (const key of this.sync.keys.underWay()) if (key.unsettled) return true
    return false
  }

  /** Settles what the key owes at the call, not what it comes to owe meanwhile. */
  async settle(key: LocalKey): Promise<void> {
    if (!key.unsettled) return
    await this.passAlone(key)
    await this.pay([key], () => this.passAlone(key))
  }

  /** Sends what is owed once, that of `keys` included. */
  private async pass(keys: readonly LocalKey[]): Promise<void> {
    this.open()
    for (const key of keys) if (!key.queued && key.mustTell) this.sync.outbox.queue(key)
    await this.sync.outbox.flushAwaited()
  }

  /** A pass for one key: nothing goes with it but what can't wait. */
  private async passAlone(key: LocalKey): Promise<void> {
    this.open()
    // A key that is in flight, or about to be, tells what it owes by that: what is left is for another pass.
    if (key.inFlight || key.urgent) {
      await this.sync.outbox.idle()
      return
    }
    await this.sync.outbox.sendAlone(key)
  }

  /** After a pass, in which unknown keys have taken over the store's counters: settles what they still owe. */
  private async pay(
    keys: readonly LocalKey[],
    pass = (left: readonly LocalKey[]) => this.pass(left),
  ): Promise<void> {
    const debts = keys.filter((key) => key.owes).flatMap((key) => key.debts().map((debt) => ({ key, debt })))
    for (let passes = 0; passes < MOST_PASSES; passes++) {
      const unpaid = debts.filter(({ key, debt }) => !key.isPaid(debt)).map(({ key }) => key)
      const lost = keys.filter((key) => key.lost)
      if (unpaid.length + lost.length === 0) {
        for (const key of keys) this.sync.makeReady(key)
        return
      }
      await this.begun(unpaid)
      await pass([...unpaid, ...lost])
    }
    throw new StoreError('ERR_STORE_REPLY', 'the store answers but does not acknowledge what is pending')
  }

  /** The store acknowledges what was admitted in a slice only once it has begun it: until then it need not be asked. */
  private async begun(keys: readonly LocalKey[]): Promise<void> {
    const { clock, timeout } = this.settings
    let ms = 0
    for (const key of keys) ms = Math.max(ms, this.sync.untilBegun(key))
    if (ms > 0) await new Promise<void>((resolve) => clock.setTimer(resolve, Math.min(ms, timeout)))
  }

  /** Settles all, as far as the store answers, and gives back what is booked; nothing is sent after that. */
  async close(): Promise<void> {
    this.sync.pacing.closing = true
    for (const key of this.sync.keys) key.giveUp()
    for (let tries = 0; tries < CLOSING_TRIES && !(await this.hasFlushed()); tries++)
      if (this.link.hasEnded) break
    this.sync.stop()
  }

  /** @throws StoreError where the store is not to be asked yet */
  private open(): void {
    if (this.link.barred) throw new StoreError('ERR_STORE_AWAY', 'the store is away; what is pending is kept')
  }
}
