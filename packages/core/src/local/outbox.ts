import pLimit from 'p-limit'
import { type Timer, turnOver } from '../clock.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import { all, UnderWay } from '../under-way.ts'
import type { HeldKeys } from './held-keys.ts'
import { KeyQueue } from './key-queue.ts'
import type { LocalKey } from './local-key.ts'
import type { Pacing } from './pacing.ts'

/** Keys that travel in one command. */
const MOST_KEYS = 500
/** Keys that are looked at for one command, or in one turn of the event loop. */
export const MOST_LOOKS = 4 * MOST_KEYS
/** Commands under way at once: few, since checks that wait for the store are behind them. */
const IN_FLIGHT = 2
/** Those that somebody waits for: so many that neither side waits for the other. */
const IN_FLUSH = 4
/** With the store away, keys of windows that are over are looked for until they are no more than this part of some. */
const OVER = 1 / 8

/** What speaks to the store of the keys that leave. */
export interface Messenger {
  /**
   * Sends what each key has to tell, and takes in the answer.
   *
   * @param deadline monotonic; none: the store has its time once the command is drawn up
   * @param changes whether it is also asked what changed
   * @throws StoreError, ConfigError
   */
  exchange(keys: readonly LocalKey[], deadline: number | undefined, changes: boolean): Promise<void>
  /** The key goes over into the slice of `now`. */
  begin(key: LocalKey, now: number, monotonic: number): void
}

/** The keys that have something to tell the store, and when they leave: at the next interval, at once, or by themselves. */
export class Outbox {
  /** What is to be sent at the next tick, and at the one after it: a tick is half an interval. */
  private due = KeyQueue.first()
  private dirty = this.due.following()
  /** How many keys are in either, or in one that is being sent. */
  private queuedKeys = 0
  /** What is to be sent now, in commands of at most `MOST_KEYS`: each is drawn up when its turn comes, so that none holds the event loop. */
  private readonly urgent: LocalKey[][] = []
  private readonly flushes = pLimit(IN_FLIGHT)
  /** How many wait for all that is dirty. */
  private awaited = 0
  private readonly urgentFlushes = pLimit(IN_FLIGHT)
  /** Keys each of which is settled for somebody by itself, for the next command; and that. */
  private alone: { readonly keys: LocalKey[]; readonly sent: Promise<void> } | undefined
  private readonly aloneFlushes = pLimit(IN_FLIGHT)
  private readonly underWay = new UnderWay()
  private timer: Timer | undefined
  /** One is under way; it has the next one come. */
  private isTicking = false
  /** A flush is under way since so much is owed. */
  private relieving = false
  private closed = false

  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly keys: HeldKeys,
    private readonly pacing: Pacing,
    private readonly messenger: Messenger,
  ) {}

  /** Whether as many keys owe something as may be held, so that no other can be taken in. */
  get full(): boolean {
    return this.queuedKeys >= this.settings.maxKeys
  }

  /** To be sent at the next interval. */
  queue(key: LocalKey): void {
    // One that is in flight is queued again with its answer.
    if (key.inFlight) return
    this.requeue(key)
    // Also for one that was queued before, such as one pushed out.
    this.relieve()
  }

  /** At the bound a flush starts at once, one at a time; not where nothing would leave, as each would go through all keys for nothing. */
  relieve(): void {
    if (!this.full || this.relieving || this.link.barred) return
    this.relieving = true
    const done = () => {
      this.relieving = false
    }
    this.flushDirty().then(done, done)
  }

  /** As `queue`, also of a key whose answer has just come. */
  requeue(key: LocalKey): void {
    if (key.queued) return
    key.queued = true
    this.queuedKeys++
    this.dirty.add(key)
  }

  /** It is to be sent another way. */
  private dequeue(key: LocalKey): void {
    if (key.queueNumber === 0) return
    key.queueNumber = 0
    this.queuedKeys--
  }

  /** To be sent now; with the store away, at the next interval. */
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
    // One that asks again, with what is left of its time, must not end that of the others.
    for (const key of keys)
      for (const waiter of key.waiting) if (!waiter.asked) deadline = Math.min(deadline, waiter.deadline)
    // A node that does not know its share of a key needs to know of how many.
    const isNew = isFirst && keys.some((key) => this.pacing.isNew(key))
    await this.send(keys, deadline, isNew).catch(() => {})
  }

  /** Has the next tick come: in half an interval, up to a fifth earlier, so that nodes do not flush together. */
  arm(): void {
    if (this.timer !== undefined || this.closed || this.link.hasEnded) return
    const { clock, interval, random } = this.settings
    const ms = Math.max(1, (interval / 2) * (0.8 + 0.2 * random()))
    // That the store is back is to be heard, however long the interval is.
    this.timer = clock.setTimer(() => this.tick(), this.link.away ? Math.min(ms, this.link.retryAfterMs) : ms)
  }

  /** No check asks whether it is back: the ticks do, also those of a limiter without keys. */
  storeAway(): void {
    if (this.isTicking) return
    if (this.timer !== undefined) this.settings.clock.clearTimer(this.timer)
    this.timer = undefined
    this.arm()
  }

  private async tick(): Promise<void> {
    const { pacing, link } = this
    this.isTicking = true
    // What asks whether the store is back also asks how many nodes there are; no half of an interval has passed by it.
    const asksAnew = link.away
    // Where none would leave, what still counts stays queued.
    if (link.barred) await this.dropOver()
    else await all(this.commands(this.turn(), asksAnew || ++pacing.ticks % 2 === 0, false)).catch(() => {})
    this.timer = undefined
    this.isTicking = false
    // Without keys nobody else asks whether the store is back.
    if (this.keys.size > 0 || link.away) this.arm()
  }

  /** What is owed of windows that are over takes no room from new keys: as long as some of those that are looked at are such. */
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
        // Quota that an answer booked that was lost counts in the store until then.
        const isOld = now >= key.sliceEnd + lateSlices * window
        if (now >= key.sliceEnd && !key.inFlight && (isOld || !key.stale))
          this.messenger.begin(key, now, monotonic)
        if (isOld) this.forgetReading(key)
        // The store need hear nothing of it.
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
   * That it was to be read, or given again, of a key that was pushed out: should it be wanted again, it is read anew. Only where
   * nothing that it was told or asked for in its slice can count any more.
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

  /** As `flushDirty`, for somebody who waits; resolves when what was under way already has its answer too. */
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

  /** What is due by now: what has been dirty for half an interval. */
  private turn(): KeyQueue {
    const { due } = this
    this.due = this.dirty
    this.dirty = this.due.following()
    return due
  }

  /** The first command also asks what changed, if `changes`. */
  private commands(keys: KeyQueue, changes: boolean, all: boolean): Promise<void>[] {
    const commands = Math.max(changes ? 1 : 0, Math.ceil(keys.length / MOST_KEYS))
    return Array.from({ length: commands }, (_, place) =>
      // Drawn up when its turn comes: of hundreds of thousands of keys, to go through all would hold the event loop.
      this.flushes(() => this.sendNext(keys, all, changes && place === 0)),
    )
  }

  private async sendNext(queue: KeyQueue, all: boolean, changes: boolean): Promise<void> {
    // None of them would leave: to go through hundreds of thousands would hold the event loop.
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
      // Where the store answers at once, or nothing leaves since it is away, the event loop would not turn between commands.
      if (queue.length > 0 && (this.link.table.answersAtOnce || this.link.barred))
        await turnOver(this.settings.clock)
    }
  }

  /**
   * Sends the key now, for somebody who waits; nothing goes with it but what can't wait, and others that are sent so at the
   * same time: a command each of thousands would be late before it had left.
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

  /** Resolves when all that is to be sent now has been, and has its answer. */
  async idle(): Promise<void> {
    await this.urgentFlushes(() => undefined)
    await this.aloneFlushes(() => undefined)
    await this.underWay.idle()
  }

  private send(keys: LocalKey[], deadline: number | undefined, changes: boolean): Promise<void> {
    return this.underWay.add(this.messenger.exchange(keys, deadline, changes))
  }

  /** Nothing more is sent by itself. */
  stop(): void {
    this.closed = true
    if (this.timer !== undefined) this.settings.clock.clearTimer(this.timer)
  }
}
