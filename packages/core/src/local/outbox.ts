import pLimit from 'p-limit'
import { type Timer, turnOver } from '../clock.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import { all, UnderWay } from '../under-way.ts'
import type { HeldKeys } from './held-keys.ts'
import { KeyQueue } from './key-queue.ts'
import type { LocalKey } from './local-key.ts'
import type { Pacing } from './pacing.ts'

/** The most keys in one command. */
const MOST_KEYS = 500
/** The most keys looked at for one command, or in one turn of the event loop. */
export const MOST_LOOKS = 4 * MOST_KEYS
/** Commands in flight at once: few, since checks that wait for the store queue behind them. */
const IN_FLIGHT = 2
/** The same while somebody waits for a flush: enough that neither this node nor the store idles. */
const IN_FLUSH = 4
/** With the store away, keys of ended windows are dropped in rounds, until a round drops no more than this part. */
const OVER = 1 / 8

/** Tells the store about the keys that leave. */
export interface Messenger {
  /**
   * Sends what each key has to tell, and takes in the answer.
   *
   * @param deadline monotonic; none: `timeout` from when the command has been built
   * @param changes whether to ask what changed, too
   * @throws StoreError, ConfigError
   */
  exchange(keys: readonly LocalKey[], deadline: number | undefined, changes: boolean): Promise<void>
  /** Moves the key on to the slice of `now`. */
  begin(key: LocalKey, now: number, monotonic: number): void
}

/** The keys that have something to tell the store, and when they are sent: at the next interval, at once, or alone. */
export class Outbox {
  /** The keys to send at the next tick, and at the one after it: a tick is half an interval. */
  private due = KeyQueue.first()
  private dirty = this.due.following()
  /** How many keys are in either queue, or in one that is being sent. */
  private queuedKeys = 0
  /**
   * The keys to send now, in batches of at most `MOST_KEYS`: each command is built in its turn, so that none holds the
   * event loop.
   */
  private readonly urgent: LocalKey[][] = []
  private readonly flushes = pLimit(IN_FLIGHT)
  /** How many callers of `flushAwaited` wait. */
  private awaited = 0
  private readonly urgentFlushes = pLimit(IN_FLIGHT)
  /** The next batch of `sendAlone`, each key settled for its own caller, and the promise of its answer. */
  private alone: { readonly keys: LocalKey[]; readonly sent: Promise<void> } | undefined
  private readonly aloneFlushes = pLimit(IN_FLIGHT)
  private readonly underWay = new UnderWay()
  private timer: Timer | undefined
  /** A tick is under way; it arms the next one. */
  private isTicking = false
  /** A flush that makes room is under way. */
  private relieving = false
  isClosed = false

  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly keys: HeldKeys,
    private readonly pacing: Pacing,
    private readonly messenger: Messenger,
  ) {}

  /** Whether `maxKeys` keys owe something, so that no other key can be taken in. */
  get full(): boolean {
    return this.queuedKeys >= this.settings.maxKeys
  }

  /** Queues the key for the next interval. */
  queue(key: LocalKey): void {
    // A key in flight is queued again when its answer comes.
    if (key.inFlight) return
    this.requeue(key)
    // Also for a key that was queued before, such as one that was pushed out.
    this.relieve()
  }

  /**
   * At the bound, starts a flush, one at a time; not while the link is barred: it would go through all keys in vain.
   */
  relieve(): void {
    if (!this.full || this.relieving || this.link.barred) return
    this.relieving = true
    const done = () => {
      this.relieving = false
    }
    this.flushDirty().then(done, done)
  }

  /** As `queue`, but also for a key in flight, and without starting a flush for room. */
  requeue(key: LocalKey): void {
    if (key.queued) return
    key.queued = true
    this.queuedKeys++
    this.dirty.add(key)
  }

  /** Takes the key out of its queue: it is sent another way. */
  private dequeue(key: LocalKey): void {
    if (key.queueNumber === 0) return
    key.queueNumber = 0
    this.queuedKeys--
  }

  /** Queues the key to be sent now or, with the store away, at the next interval. */
  queueAtOnce(key: LocalKey): void {
    if (key.inFlight || key.urgent) return
    if (this.link.away) {
      this.queue(key)
      return
    }
    this.dequeue(key)
    key.queued = true
    key.urgent = true
    const last = this.urgent.at(-1)
    if (last !== undefined && last.length < MOST_KEYS) {
      last.push(key)
      return
    }
    this.urgent.push([key])
    const isFirst = last === undefined
    void this.urgentFlushes(() => this.flushUrgent(isFirst))
  }

  private async flushUrgent(isFirst: boolean): Promise<void> {
    const keys = this.urgent.shift() as LocalKey[]
    const now = this.settings.clock.monotonic()
    let deadline = now + this.settings.timeout
    // A waiter that was asked for before may have little time left, which must not shorten that of the others.
    for (const key of keys)
      for (const waiter of key.waiting) if (!waiter.asked) deadline = Math.min(deadline, waiter.deadline)
    // A node that does not know its share of a key must hear how many nodes there are.
    const isNew = isFirst && keys.some((key) => this.pacing.isNew(key))
    await this.send(keys, deadline, isNew).catch(() => {})
  }

  /** Arms the next tick: in half an interval, or up to a fifth earlier, so that nodes do not flush together. */
  arm(): void {
    if (this.timer !== undefined || this.isClosed || this.link.hasEnded) return
    const { clock, interval, random } = this.settings
    const ms = Math.max(1, (interval / 2) * (0.8 + 0.2 * random()))
    // However long the interval is, the store's return must be noticed.
    this.timer = clock.setTimer(() => this.tick(), this.link.away ? Math.min(ms, this.link.retryAfterMs) : ms)
  }

  /** No check asks whether the store is back: the ticks do, even in a limiter without keys. */
  storeAway(): void {
    if (this.isTicking) return
    if (this.timer !== undefined) this.settings.clock.clearTimer(this.timer)
    this.timer = undefined
    this.arm()
  }

  private async tick(): Promise<void> {
    const { pacing, link } = this
    this.isTicking = true
    // A tick that probes the store also asks how many nodes there are; it does not count as half an interval.
    const asksAnew = link.away
    // While the link is barred, nothing would leave: what still counts stays queued.
    if (link.barred) await this.dropOver()
    else await all(this.commands(this.turn(), asksAnew || ++pacing.ticks % 2 === 0, false)).catch(() => {})
    this.timer = undefined
    this.isTicking = false
    // Without keys, only the ticks ask whether the store is back.
    if (this.keys.size > 0 || link.away) this.arm()
  }

  /** Drops keys that owe only for ended windows, to make room for new ones, while rounds drop enough of them. */
  private async dropOver(): Promise<void> {
    const { lateSlices, window } = this.settings.limit
    for (;;) {
      const now = this.link.table.now()
      const monotonic = this.settings.clock.monotonic()
      const looks = Math.min(MOST_KEYS, this.due.length + this.dirty.length)
      let dropped = 0
      for (let look = 0; look < looks; look++) {
        const key = this.due.next() ?? this.dirty.next()
        if (key === undefined) break
        // Until then, quota that a lost answer booked counts in the store.
        const isOld = now >= key.sliceEnd + lateSlices * window
        if (now >= key.sliceEnd && !key.inFlight && (isOld || !key.stale))
          this.messenger.begin(key, now, monotonic)
        if (isOld) this.forgetReading(key)
        // The store need not hear of this key.
        if (!key.inFlight && !key.isBooked && !key.unsettled) {
          this.queuedKeys--
          dropped++
          key.queued = false
          this.keys.release(key)
        } else this.dirty.add(key)
      }
      if (dropped <= looks * OVER) return
      await turnOver(this.settings.clock)
    }
  }

  /**
   * Cancels the re-read or restoration of a key that was pushed out: if it is wanted again, it is read anew. Only if
   * nothing that it was told or asked for in its slice can still count.
   */
  private forgetReading(key: LocalKey): void {
    if (key.inFlight || key.owes || key.isBooked || key.isAwaited || !this.keys.isPushedOut(key)) return
    const { current, late } = key
    if (current.held + current.admitted + late.admitted > 0) return
    key.stale = false
    key.lost = false
  }

  /** Sends all that is dirty now. */
  flushDirty(): Promise<void> {
    const due = this.commands(this.turn(), false, true)
    return all([...due, ...this.commands(this.turn(), true, true)])
  }

  /** As `flushDirty`, for a caller who waits; resolves once commands already under way have their answers, too. */
  async flushAwaited(): Promise<void> {
    this.awaited++
    this.flushes.concurrency = IN_FLUSH
    try {
      await this.flushDirty()
      await this.idle()
    } finally {
      if (--this.awaited === 0) this.flushes.concurrency = IN_FLIGHT
    }
  }

  /** Returns the keys that are due, and makes the dirty ones due. */
  private turn(): KeyQueue {
    const { due } = this
    this.due = this.dirty
    this.dirty = this.due.following()
    return due
  }

  /** With `changes`, the first command also asks what changed. */
  private commands(keys: KeyQueue, changes: boolean, all: boolean): Promise<void>[] {
    const commands = Math.max(changes ? 1 : 0, Math.ceil(keys.length / MOST_KEYS))
    return Array.from({ length: commands }, (_, place) =>
      // Each is built in its turn: going through hundreds of thousands of keys at once would hold the event loop.
      this.flushes(() => this.sendNext(keys, all, changes && place === 0)),
    )
  }

  private async sendNext(queue: KeyQueue, all: boolean, changes: boolean): Promise<void> {
    // None would leave: going through hundreds of thousands of keys would only hold the event loop.
    if (this.link.hasEnded) this.link.checkOpen()
    const monotonic = this.settings.clock.monotonic()
    const keys: LocalKey[] = []
    for (let looks = 0; looks < MOST_LOOKS && keys.length < MOST_KEYS; looks++) {
      const key = queue.next()
      if (key === undefined) break
      if (key.inFlight || (!all && this.pacing.canWait(key, monotonic))) this.dirty.add(key)
      else {
        this.queuedKeys--
        keys.push(key)
      }
    }
    try {
      if (keys.length > 0 || changes) await this.send(keys, undefined, changes)
    } finally {
      // If the store answers at once, or the link is barred, the event loop would not turn between commands.
      if (queue.length > 0 && (this.link.table.answersAtOnce || this.link.barred))
        await turnOver(this.settings.clock)
    }
  }

  /**
   * Sends the key now, for a caller who waits, together with the others sent so at the same time: of thousands of
   * commands with a key each, most would be late before they left.
   */
  sendAlone(key: LocalKey): Promise<void> {
    this.dequeue(key)
    key.queued = true
    key.urgent = true
    let batch = this.alone
    if (batch === undefined || batch.keys.length === MOST_KEYS) {
      const keys: LocalKey[] = []
      const sent = this.aloneFlushes(() => {
        if (this.alone?.keys === keys) this.alone = undefined
        return this.send(keys, undefined, false)
      })
      batch = { keys, sent }
      this.alone = batch
    }
    batch.keys.push(key)
    return batch.sent
  }

  /** Resolves once all that is to be sent now has been sent and answered. */
  async idle(): Promise<void> {
    await this.urgentFlushes(() => undefined)
    await this.aloneFlushes(() => undefined)
    await this.underWay.idle()
  }

  private send(keys: LocalKey[], deadline: number | undefined, changes: boolean): Promise<void> {
    return this.underWay.add(this.messenger.exchange(keys, deadline, changes))
  }

  /** Stops the ticks. */
  stop(): void {
    this.isClosed = true
    if (this.timer !== undefined) this.settings.clock.clearTimer(this.timer)
  }
}
