import pLimit from 'p-limit'
import { isBucket } from '../algorithms/algorithm.ts'
import { type Timer, turnOver } from '../clock.ts'
import { ConfigError, StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import type { Operation, Raise, Reply, Snapshot } from '../store/store.ts'
import { all, UnderWay } from '../under-way.ts'
import { HeldKeys } from './held-keys.ts'
import { KeyQueue } from './key-queue.ts'
import type { LocalKey } from './local-key.ts'
import { Pacing } from './pacing.ts'

/** Keys that travel in one command. */
const MOST_KEYS = 500
/** Keys that are looked at for one: those that can wait are passed over. */
const MOST_LOOKS = 4 * MOST_KEYS
/** Commands under way at once: few, since checks that wait for the store are behind them. */
const IN_FLIGHT = 2
/** Those that somebody waits for: so many that neither side waits for the other. */
const IN_FLUSH = 4
/** With the store away, keys of windows that are over are looked for until they are no more than this part of some. */
const OVER = 1 / 8

/** What a node's keys owe the store, and what it says of them: sent each interval, and at once for those that need it. */
export class Sync {
  /** For what the store refused the last command, where that is a mistake of who made the limiter. */
  mistake: ConfigError | undefined
  /** Pending cost that can no longer be settled, since its window is over. */
  expired = 0
  /** Monotonic time of the last answer. */
  heardAt: number
  readonly keys: HeldKeys
  readonly pacing: Pacing
  /** What is to be sent at the next tick, and at the one after it: a tick is half an interval. */
  private due = KeyQueue.first()
  private dirty = this.due.following()
  /** How many keys are in either, or in one that is being sent. */
  private waiting = 0
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
  /** Of the store, as it was last heard. */
  marker: string | undefined
  private since = -1
  private closed = false
  /** A flush is under way since so much is owed. */
  private relieving = false

  readonly isLog: boolean
  private readonly drains: boolean

  /** @param serve answers the checks that wait for a key, now that the store has, or has not for the reason given */
  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly serve: (key: LocalKey, error?: unknown) => void,
  ) {
    this.heardAt = settings.clock.monotonic()
    this.pacing = new Pacing(settings)
    // Counters lose nothing by being settled late, but for what a bucket drains; a log's entries add up.
    this.isLog = settings.limit.algorithm === 'sliding-log'
    const mayBeLone = !this.isLog && !settings.strict
    if (mayBeLone && link.table.isLone?.(() => this.shared())) this.pacing.loneUntil = Infinity
    this.drains = isBucket(settings.limit)
    this.keys = new HeldKeys(
      settings.maxKeys,
      settings.limit,
      () => link.table.now(),
      (key) => {
        this.giveUp(key)
        if (key.owes) this.queue(key)
      },
    )
  }

  /** Nobody need be told what is pending: it is settled when a key is pushed out, or nearly used up, or by `flush`. */
  get lone(): boolean {
    return this.pacing.lone
  }

  /** Another node has the counts now. */
  private shared(): void {
    // A limiter that is closed is no node, whoever comes after it.
    if (this.closed) return
    this.pacing.loneUntil = this.link.table.now()
    void this.handOver().catch(() => {})
  }

  /** It must hear of what was admitted before, and of what is from here on. */
  private async handOver(): Promise<void> {
    let looks = 0
    for (const key of this.keys) {
      // To go through a million at once would hold the event loop.
      if (++looks % MOST_LOOKS === 0) await turnOver(this.settings.clock)
      if (this.closed) return
      key.note()
      if (key.inFlight) continue
      this.forgetDrained(key, this.link.table.now())
      if (key.owes) this.requeue(key)
    }
    // Others book their shares from here on. Of a bucket they need not, as long as this has nothing to tell: what is booked drains.
    if (this.keys.size > 0 || !this.drains) await this.flushDirty()
  }

  /**
   * Of what is settled late, not what has drained meanwhile: while nobody else takes, that is what is not in use any more.
   * Not of a key of which the store may have more than is known here.
   */
  private forgetDrained(key: LocalKey, now: number): void {
    const { loneUntil } = this.pacing
    if (this.drains && loneUntil > -Infinity && key.known && !key.stale)
      key.forgetDrained(now, Math.max(0, now - loneUntil))
  }

  get pending(): number {
    let pending = 0
    for (const key of this.keys) pending += key.pending
    return pending
  }

  /** Whether as many keys owe something as may be held, so that no other can be taken in. */
  get full(): boolean {
    return this.waiting >= this.settings.maxKeys
  }

  /** Takes a key into RAM, and asks the store about it at once. */
  add(name: string): LocalKey {
    const { table } = this.link
    const monotonic = this.settings.clock.monotonic()
    const guessedOffset = table.known ? undefined : table.now() - monotonic
    const key = this.keys.add(name, this.settings.limit, monotonic, guessedOffset)
    this.pacing.plan(key, table.now(), monotonic)
    this.queueAtOnce(key)
    this.arm()
    return key
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

  private requeue(key: LocalKey): void {
    if (key.queued) return
    key.queued = true
    this.waiting++
    this.dirty.add(key)
  }

  /** It is to be sent another way. */
  private dequeue(key: LocalKey): void {
    if (key.queueNumber === 0) return
    key.queueNumber = 0
    this.waiting--
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

  /** The next half of an interval, up to a fifth earlier, so that nodes do not flush together. */
  private arm(): void {
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
        if (now >= key.sliceEnd && !key.inFlight && (isOld || !key.stale)) this.begin(key, now, monotonic)
        if (isOld) this.forgetReading(key)
        // The store need hear nothing of it.
        if (!key.inFlight && !key.isBooked && !key.unsettled) {
          this.waiting--
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
  private flushDirty(): Promise<void> {
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
        this.waiting--
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

  /** @param deadline monotonic; none: the store has its time once the command is drawn up */
  private send(keys: LocalKey[], deadline: number | undefined, changes: boolean): Promise<void> {
    return this.underWay.add(this.exchange(keys, deadline, changes))
  }

  private async exchange(keys: LocalKey[], deadline: number | undefined, changes: boolean): Promise<void> {
    const { clock, interval, timeout, extra } = this.settings
    const sentAt = clock.monotonic()
    const now = this.link.table.now()
    const operations = keys.map((key) => {
      key.queued = false
      key.urgent = false
      key.inFlight = true
      key.asks()
      if (now >= key.sliceEnd) this.begin(key, now, sentAt)
      this.forgetDrained(key, now)
      if (key.isRestorable(now)) return key.restoration()
      const { demandSent } = key.pace
      return key.operation(this.pacing.ask(key, now, sentAt), demandSent)
    })
    try {
      const asked = changes ? { since: this.since, presence: 3 * interval + 1000 } : {}
      const until = deadline ?? clock.monotonic() + timeout
      const reply = await this.link.exchange(operations, until, { ...asked, extra })
      this.heardAt = clock.monotonic()
      this.mistake = undefined
      this.pacing.heard(this.heardAt - sentAt)
      if (changes) this.pacing.nodes = Math.max(1, reply.nodes)
      const hasLost = this.hasLost(reply)
      const then = this.link.table.now()
      for (let place = 0; place < keys.length; place++) {
        const key = keys[place] as LocalKey
        const operation = operations[place] as Operation
        const snapshot = reply.results[place] as Snapshot | undefined
        if (snapshot !== undefined) {
          this.answered(key, snapshot, then, this.heardAt)
          // Where others take of it by hard checks, it is so each time.
          if (operation[0] === 'raise') key.isAlone = false
        } else if (operation[0] === 'raise') this.raised(key, operation, then, this.heardAt)
        else this.heard(key, false)
      }
      if (changes) this.takeChanges(reply)
      if (hasLost) this.giveBack()
      // Of a burst of new keys none is queued but by its answer, and no other comes while there is no room for it.
      this.relieve()
    } catch (error) {
      this.mistake = error instanceof ConfigError ? error : undefined
      for (const key of keys) this.unanswered(key, error)
      throw error
    }
  }

  /** The store's time may have become known, by whatever answer, since the key was taken in by a guess at it. */
  correct(key: LocalKey): void {
    const { table } = this.link
    if (key.known || !table.known) return
    this.expire(key.correct(table.now(), table.latest(), this.settings.clock.monotonic()))
  }

  private expire(pending: number): void {
    if (!this.lone) this.expired += pending
  }

  /** What is booked ahead of the key may be spent as soon as its time has surely come: where there is any, the clock is read. */
  ripen(key: LocalKey): void {
    if (key.current.ahead > 0) key.ripen(this.link.earliest)
  }

  /** The key goes over into the slice of `now`. */
  begin(key: LocalKey, now: number, monotonic: number): void {
    this.correct(key)
    this.ripen(key)
    key.dropHeld(now)
    // What was over before another node came to have the counts was owed to nobody.
    const isOwed = key.sliceEnd > this.pacing.loneUntil
    const expired = key.roll(Math.floor(now / this.settings.limit.window))
    if (isOwed) this.expire(expired)
    this.pacing.begin(key, now, monotonic)
  }

  private answered(key: LocalKey, snapshot: Snapshot, now: number, monotonic: number): void {
    const isFirst = !key.known
    const { pacing } = this
    // A node that had not heard of a reset has nothing booked, whatever it asked for.
    if (!isFirst && snapshot.generation > key.generation && key.isPaced) key.ownPace.askedNothing()
    this.correct(key)
    key.acknowledge(snapshot)
    // What was admitted before the slice's end, while the answer was under way, does not count in the next one.
    if (key.known && now >= key.sliceEnd) this.begin(key, now, monotonic)
    this.forgetDrained(key, now)
    const { furthest } = pacing
    const unheard = furthest > 0 ? Math.ceil(this.link.table.latest()) + furthest : furthest
    this.expire(key.reconcile(snapshot, now, unheard))
    this.ripen(key)
    pacing.learn(key, snapshot.slice, snapshot.demand, snapshot.elsewhere, now, monotonic)
    this.heard(key, isFirst && pacing.isPressing(key, now))
  }

  /** What is kept of the key is what the operation told. */
  private raised(key: LocalKey, operation: Raise, now: number, monotonic: number): void {
    key.raised(operation)
    this.pacing.learn(key, operation[2], operation[5], 0, now, monotonic)
    this.heard(key, false)
  }

  /** The store has, or has again, what was sent; after a restoration, what is known here of the others stands. */
  private heard(key: LocalKey, isPressing: boolean): void {
    key.inFlight = false
    key.stale = false
    key.lost = false
    this.serve(key)
    const isAwaited = key.waiting.length > 0
    // Quota that was booked by an answer under way.
    if (this.pacing.closing) key.giveUp()
    else if (!isAwaited && key.isBooked && this.keys.isPushedOut(key)) {
      // Nothing is asked for in its place: it is to be forgotten.
      key.withdraw(Infinity)
      this.giveUp(key)
    }
    if ((isAwaited || (isPressing && key.owes)) && this.isAboutToBegin(key)) this.queueAtOnce(key)
    else if (isAwaited || key.owes || key.isBooked) this.requeue(key)
    else this.keys.release(key)
    if (isAwaited && !key.urgent) this.askOnceBegun(key)
    this.makeReady(key)
  }

  /** What is booked of a key that was pushed out goes back. Should it be wanted again, a soft node goes by its share of what is left. */
  private giveUp(key: LocalKey): void {
    key.giveUp()
    if (this.settings.strict) return
    if (key.isPaced) key.ownPace.asked = 0
    this.pacing.plan(key, this.link.table.now(), this.settings.clock.monotonic())
  }

  /**
   * Whether the key's slice has begun, or will have by the time that a command arrives. The store's clock may have been behind what
   * was thought of it: of a slice that it is not in yet nothing can be booked, and to ask at once again would be for nothing.
   */
  private isAboutToBegin(key: LocalKey): boolean {
    return this.untilBegun(key) <= this.pacing.roundTrip
  }

  /** Milliseconds until the key's slice begins, by the store's time; below 0: it has. */
  untilBegun({ slice }: LocalKey): number {
    return slice * this.settings.limit.window - this.link.table.now()
  }

  /** The next tick may come too late for a check that waits: unless the slice begins too late for it, too. */
  private askOnceBegun(key: LocalKey): void {
    const { clock, timeout } = this.settings
    const ms = this.untilBegun(key) - this.pacing.roundTrip
    if (ms <= timeout) clock.setTimer(() => key.isAwaited && this.queueAtOnce(key), Math.max(1, ms))
  }

  /** The checks to come of the key need look at nothing but its row: the store will hear of what they take, or need not. */
  makeReady(key: LocalKey): void {
    if ((key.queued || this.lone) && key.blockedUntil === undefined && !this.isLog) key.makeReady()
  }

  private unanswered(key: LocalKey, error: unknown): void {
    key.inFlight = false
    // Quota may have been booked by the answer that is lost: the key is read again, and gives it back.
    if (error instanceof StoreError && error.uncertain) key.stale = true
    this.serve(key, error)
    if (key.mustTell || key.isBooked) this.requeue(key)
    else this.keys.release(key)
  }

  readLater(key: LocalKey): void {
    key.stale = true
    this.requeue(key)
  }

  /** Keys that were reset, blocked or refunded elsewhere; all of them, where the list does not go back far enough. */
  private takeChanges(reply: Reply): void {
    if (this.since >= 0 && this.since < reply.changesFrom) this.readAgain()
    this.since = Math.max(this.since, reply.now)
    if (reply.changed.length === 0) return
    // What was asked about has its answer: taken in twice, it would be as if nothing had been asked for.
    const answered = new Set(reply.results.map((result) => (result as Snapshot | undefined)?.key))
    for (const snapshot of reply.changed) if (!answered.has(snapshot.key)) this.takeSnapshot(snapshot)
  }

  /** A snapshot that came unasked, or as the answer to a verb. */
  takeSnapshot(snapshot: Snapshot): void {
    const key = this.keys.find(snapshot.key)
    if (key === undefined) return
    // An answer under way may be older than this, and is taken in later; this may be older than one that was.
    if (key.inFlight || this.isOlder(snapshot, key)) this.readLater(key)
    else if (key.known) {
      if (key.isPaced) key.ownPace.askedNothing()
      this.answered(key, snapshot, this.link.table.now(), this.settings.clock.monotonic())
    }
  }

  /**
   * Whether it may be from before a reset: a store forgets one only once nothing from before it counts any more. So is one
   * of a slice of which nothing counts any more: by the reset that it tells of, what was admitted since would be forgotten.
   */
  private isOlder(snapshot: Snapshot, key: LocalKey): boolean {
    const { window, lateSlices } = this.settings.limit
    if (snapshot.slice + lateSlices < key.slice) return true
    const lastSlice = Math.floor(key.generation / window) + lateSlices
    return snapshot.generation < key.generation && snapshot.slice <= lastSlice
  }

  /** Another marker than before: the store lost its data, but for what it says in this answer. */
  private hasLost(reply: Reply): boolean {
    const lost = this.marker !== undefined && this.marker !== reply.marker
    this.marker = reply.marker
    if (lost) for (const key of this.keys) key.lose()
    return lost
  }

  /** The store is given at once what it lost and this node still holds. */
  private giveBack(): void {
    for (const key of this.keys) if (key.lost) this.requeue(key)
    void this.flushDirty().catch(() => {})
  }

  private readAgain(): void {
    for (const key of this.keys) this.readLater(key)
  }

  /** Nothing more is sent by itself. */
  stop(): void {
    this.closed = true
    if (this.timer !== undefined) this.settings.clock.clearTimer(this.timer)
  }
}
