import { isBucket } from '../algorithms/algorithm.ts'
import { turnOver } from '../clock.ts'
import { ConfigError, StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import type { Operation, Raise, Reply, Snapshot } from '../store/store.ts'
import { HeldKeys } from './held-keys.ts'
import type { LocalKey } from './local-key.ts'
import { type Messenger, MOST_LOOKS, Outbox } from './outbox.ts'
import { Pacing } from './pacing.ts'

/** What a node's keys owe the store, and what it says of them: sent each interval, and at once for those that need it. */
export class Sync implements Messenger {
  /** For what the store refused the last command, where that is a mistake of who made the limiter. */
  mistake: ConfigError | undefined
  /** Pending cost that can no longer be settled, since its window is over. */
  expired = 0
  /** Monotonic time of the last answer. */
  heardAt: number
  readonly keys: HeldKeys
  readonly pacing: Pacing
  readonly outbox: Outbox
  /** Of the store, as it was last heard. */
  marker: string | undefined
  private since = -1
  private closed = false
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
        if (key.owes) this.outbox.queue(key)
      },
    )
    this.outbox = new Outbox(link, settings, this.keys, this.pacing, this)
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
      if (key.owes) this.outbox.requeue(key)
    }
    // Others book their shares from here on. Of a bucket they need not, as long as this has nothing to tell: what is booked drains.
    if (this.keys.size > 0 || !this.drains) await this.outbox.flushDirty()
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

  /** Takes a key into RAM, and asks the store about it at once. */
  add(name: string): LocalKey {
    const { table } = this.link
    const monotonic = this.settings.clock.monotonic()
    const guessedOffset = table.known ? undefined : table.now() - monotonic
    const key = this.keys.add(name, this.settings.limit, monotonic, guessedOffset)
    this.pacing.plan(key, table.now(), monotonic)
    this.outbox.queueAtOnce(key)
    this.outbox.arm()
    return key
  }

  async exchange(keys: readonly LocalKey[], deadline: number | undefined, changes: boolean): Promise<void> {
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
      this.outbox.relieve()
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
    if ((isAwaited || (isPressing && key.owes)) && this.isAboutToBegin(key)) this.outbox.queueAtOnce(key)
    else if (isAwaited || key.owes || key.isBooked) this.outbox.requeue(key)
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
    if (ms <= timeout) clock.setTimer(() => key.isAwaited && this.outbox.queueAtOnce(key), Math.max(1, ms))
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
    if (key.mustTell || key.isBooked) this.outbox.requeue(key)
    else this.keys.release(key)
  }

  readLater(key: LocalKey): void {
    key.stale = true
    this.outbox.requeue(key)
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
    } else key.noteBlock(snapshot)
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
    for (const key of this.keys) if (key.lost) this.outbox.requeue(key)
    void this.outbox.flushDirty().catch(() => {})
  }

  private readAgain(): void {
    for (const key of this.keys) this.readLater(key)
  }

  /** Nothing more is sent by itself. */
  stop(): void {
    this.closed = true
    this.outbox.stop()
  }
}
