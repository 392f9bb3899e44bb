import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import type { LocalKey } from './local-key.ts'
import type { Sync } from './sync.ts'

/** How often a limiter that closes tries to settle with a store that is not known to be away. */
const CLOSING_TRIES = 3
/** After this many answers that do not acknowledge what was sent, it is given up. */
const MOST_PASSES = 20

/**
 * Settles what is owed for somebody who waits until the store has acknowledged it: by passes, in each of which all that is owed
 * is sent once.
 */
export class Settling {
  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly sync: Sync,
  ) {}

  /** Settles all that is owed at the call. @throws StoreError where the store does not acknowledge it */
  async flush(): Promise<void> {
    // One that was away may have lost its data: its answer tells, and what it lost is owed again.
    if (this.link.away && this.sync.keys.size > 0) await this.pass([])
    // Nearly all that owe something are queued: they are not looked at any closer, nor once more where they have settled.
    const others: LocalKey[] = []
    for (const key of this.sync.keys.unqueued()) if (key.unsettled) others.push(key)
    if (others.length === 0 && !this.isAnyQueued()) return
    await this.pass(others)
    // What is still owed is queued again.
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

  /** Settles what the key owes at the call; what it comes to owe meanwhile may stay. */
  async settle(key: LocalKey): Promise<void> {
    if (!key.unsettled) return
    await this.passAlone(key)
    await this.pay([key], () => this.passAlone(key))
  }

  /** Sends what is owed, the keys among it, once. */
  private async pass(keys: readonly LocalKey[]): Promise<void> {
    this.open()
    for (const key of keys) if (!key.queued && key.mustTell) this.sync.outbox.queue(key)
    await this.sync.outbox.flushAwaited()
  }

  /** As a pass, of one key: nothing goes with it but what can't wait. */
  private async passAlone(key: LocalKey): Promise<void> {
    this.open()
    // One that is on its way, or is to be, tells by that what it owes: what is left is for another pass.
    if (key.inFlight || key.urgent) {
      await this.sync.outbox.idle()
      return
    }
    await this.sync.outbox.sendAlone(key)
  }

  /** After a pass, in which keys that were unknown have come to count as the store's ledger does: settles what they still owe. */
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

  /** What was admitted in a slice that the store turns out not to have begun, it acknowledges once it has: until then it need not be asked. */
  private async begun(keys: readonly LocalKey[]): Promise<void> {
    const { clock, timeout } = this.settings
    let ms = 0
    for (const key of keys) ms = Math.max(ms, this.sync.untilBegun(key))
    if (ms > 0) await new Promise<void>((resolve) => clock.setTimer(resolve, Math.min(ms, timeout)))
  }

  /** Settles all, as far as the store answers, and gives back what is booked; nothing more is sent after it. */
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
