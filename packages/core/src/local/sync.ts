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

/** Sends the store what the keys owe it, and takes in its answers: each interval, and at once for keys that need it. */
export class Sync implements Messenger {
  /** Why the store refused the last command, if that was a mistake in the limiter's configuration. */
  mistake: ConfigError | undefined
  /** Pending cost that can no longer be settled, because its window is over. */
  expired = 0
  /** Monotonic time of the last answer. */
  heardAt: number
  readonly keys: HeldKeys
  readonly pacing: Pacing
  readonly outbox: Outbox
  /** The store's marker, as last heard. */
  marker: string | undefined
  private since = -1
  readonly isLog: boolean
  private readonly drains: boolean

  /** @param serve answers the checks that wait for a key: the store has answered, or `error` says why not */
  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly serve: (key: LocalKey, error?: unknown) => void,
  ) {
    this.heardAt = settings.clock.monotonic()
    this.pacing = new Pacing(settings)
    // Counters can be settled late without loss, except for what a bucket drains. A log's entries would pile up.
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

  /**
   * Whether no other node has the counts: pending is then settled only when a key is pushed out or nearly used up, or
   * by `flush`.
   */
  get lone(): boolean {
    return this.pacing.lone
  }

  /** Another node has opened the counts. */
  private shared(): void {
    // A closed limiter is not a node, whoever comes after it.
    if (this.outbox.isClosed) return
    this.pacing.loneUntil = this.link.table.now()
    void this.handOver().catch(() => {})
  }

  /** The other node must hear of what was admitted before, and of what is from here on. */
  private async handOver(): Promise<void> {
    let looks = 0
    for (const key of this.keys) {
      // Going through a million keys at once would hold the event loop.
      if (++looks % MOST_LOOKS === 0) await turnOver(this.settings.clock)
      if (this.outbox.isClosed) return
      key.note()
      if (key.inFlight) continue
      this.forgetDrained(key, this.link.table.now())
      if (key.owes) this.outbox.requeue(key)
    }
    // Others book their shares from here on. For a bucket they need not without keys here: what is booked drains.
    if (this.keys.size > 0 || !this.drains) await this.outbox.flushDirty()
  }

  /**
   * Drops pending that has drained before it was settled: while no other node takes, whatever is no longer in use. Not
   * for a key of which the store may have more than is known here.
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
          // If others take from the key by hard checks, each `raise` would fail like this one.
          if (operation[0] === 'raise') key.isAlone = false
        } else if (operation[0] === 'raise') this.raised(key, operation, then, this.heardAt)
        else this.heard(key, false)
      }
      if (changes) this.takeChanges(reply)
      if (hasLost) this.giveBack()
      // A burst of new keys is queued only when its answer comes; without room, no later key would start the flush.
      this.outbox.relieve()
    } catch (error) {
      this.mistake = error instanceof ConfigError ? error : undefined
      for (const key of keys) this.unanswered(key, error)
      throw error
    }
  }

  /** Corrects a key that was taken in by a guess at the store's time, if any answer has made that time known since. */
  correct(key: LocalKey): void {
    const { table } = this.link
    if (key.known || !table.known) return
    this.expire(key.correct(table.now(), table.latest(), this.settings.clock.monotonic()))
  }

  private expire(pending: number): void {
    if (!this.lone) this.expired += pending
  }

  /** Makes quota booked ahead spendable once its time has surely come. Reads the clock only if there is such quota. */
  ripen(key: LocalKey): void {
    if (key.current.ahead > 0) key.ripen(this.link.earliest)
  }

  /** Moves the key on to the slice of `now`. */
  begin(key: LocalKey, now: number, monotonic: number): void {
    this.correct(key)
    this.ripen(key)
    key.dropHeld(now)
    // What ended before another node opened the counts was owed to nobody.
    const isOwed = key.sliceEnd > this.pacing.loneUntil
    const expired = key.roll(Math.floor(now / this.settings.limit.window))
    if (isOwed) this.expire(expired)
    this.pacing.begin(key, now, monotonic)
  }

  private answered(key: LocalKey, snapshot: Snapshot, now: number, monotonic: number): void {
    const isFirst = !key.known
    const { pacing } = this
    // For a node that had not heard of a reset, nothing was booked, whatever it asked for.
    if (!isFirst && snapshot.generation > key.generation && key.isPaced) key.ownPace.askedNothing()
    this.correct(key)
    key.acknowledge(snapshot)
    // What was admitted before the slice's end, while the answer was under way, does not count in the next slice.
    if (key.known && now >= key.sliceEnd) this.begin(key, now, monotonic)
    this.forgetDrained(key, now)
    const { furthest } = pacing
    const unheard = furthest > 0 ? Math.ceil(this.link.table.latest()) + furthest : furthest
    this.expire(key.reconcile(snapshot, now, unheard))
    this.ripen(key)
    pacing.learn(key, snapshot.slice, snapshot.demand, snapshot.elsewhere, now, monotonic, isFirst)
    this.heard(key, isFirst)
  }

  /** The store now keeps of the key exactly what the operation told. */
  private raised(key: LocalKey, operation: Raise, now: number, monotonic: number): void {
    key.raised(operation)
    this.pacing.learn(key, operation[2], operation[5], 0, now, monotonic)
    this.heard(key, false)
  }

  /**
   * The store has what was sent, or has it again. After a restoration, what is known here of the other nodes stands.
   */
  private heard(key: LocalKey, isFirst: boolean): void {
    key.inFlight = false
    key.stale = false
    key.lost = false
    this.serve(key)
    const isAwaited = key.waiting.length > 0
    // The answer may have booked quota.
    if (this.pacing.closing) key.giveUp()
    else if (!isAwaited && key.isBooked && this.keys.isPushedOut(key)) {
      // Asks for nothing in its place: the key is to be forgotten.
      key.withdraw(Infinity)
      this.giveUp(key)
    }
    // What the checks that waited took is pending, too, and what is given up here goes back.
    const isPressing = isFirst && key.owes && this.pacing.isPressing(key, this.link.table.now())
    if ((isAwaited || isPressing) && this.isAboutToBegin(key)) this.outbox.queueAtOnce(key)
    else if (isAwaited || key.owes || key.isBooked) this.outbox.requeue(key)
    else this.keys.release(key)
    if (isAwaited && !key.urgent) this.askOnceBegun(key)
    this.makeReady(key)
  }

  /**
   * Gives back what is booked for a key that was pushed out. If it is wanted again, a soft node goes by its share of
   * what is left.
   */
  private giveUp(key: LocalKey): void {
    key.giveUp()
    if (this.settings.strict) return
    if (key.isPaced) key.ownPace.asked = 0
    this.pacing.plan(key, this.link.table.now(), this.settings.clock.monotonic())
  }

  /**
   * Whether the key's slice has begun, or will have when a command arrives. The store's clock may be behind this node's
   * estimate: in a slice that the store has not begun nothing can be booked, and asking again at once would be in vain.
   */
  private isAboutToBegin(key: LocalKey): boolean {
    return this.untilBegun(key) <= this.pacing.roundTrip
  }

  /** Milliseconds of store time until the key's slice begins; below 0 if it has begun. */
  untilBegun({ slice }: LocalKey): number {
    return slice * this.settings.limit.window - this.link.table.now()
  }

  /**
   * Asks when the slice begins, as the next tick may be too late for a waiting check; unless the slice begins too late
   * for it, too.
   */
  private askOnceBegun(key: LocalKey): void {
    const { clock, timeout } = this.settings
    const ms = this.untilBegun(key) - this.pacing.roundTrip
    if (ms <= timeout) clock.setTimer(() => key.isAwaited && this.outbox.queueAtOnce(key), Math.max(1, ms))
  }

  /** Lets the key's next checks look at nothing but its row, if the store will hear of what they take, or need not. */
  makeReady(key: LocalKey): void {
    if ((key.queued || this.lone) && key.blockedUntil === undefined && !this.isLog) key.makeReady()
  }

  private unanswered(key: LocalKey, error: unknown): void {
    key.inFlight = false
    // The lost answer may have booked quota: the key is read again, and gives it back.
    if (error instanceof StoreError && error.uncertain) key.stale = true
    this.serve(key, error)
    if (key.mustTell || key.isBooked) this.outbox.requeue(key)
    else this.keys.release(key)
  }

  readLater(key: LocalKey): void {
    key.stale = true
    this.outbox.requeue(key)
  }

  /**
   * Takes in keys that were reset, blocked or refunded elsewhere; re-reads all keys if the list does not go back far
   * enough.
   */
  private takeChanges(reply: Reply): void {
    if (this.since >= 0 && this.since < reply.changesFrom) this.readAgain()
    this.since = Math.max(this.since, reply.now)
    if (reply.changed.length === 0) return
    // A key that was asked about has its answer: taken in a second time, it would look as if nothing had been asked
    // for.
    const answered = new Set(reply.results.map((result) => (result as Snapshot | undefined)?.key))
    for (const snapshot of reply.changed) if (!answered.has(snapshot.key)) this.takeSnapshot(snapshot)
  }

  /** Takes in a snapshot that came unasked, or as the answer to a verb. */
  takeSnapshot(snapshot: Snapshot): void {
    const key = this.keys.find(snapshot.key)
    if (key === undefined) return
    // An answer under way may be older than this snapshot, but is taken in later; or an answer taken in before may be
    // newer.
    if (key.inFlight || this.isOlder(snapshot, key)) this.readLater(key)
    else if (key.known) {
      if (key.isPaced) key.ownPace.askedNothing()
      this.answered(key, snapshot, this.link.table.now(), this.settings.clock.monotonic())
    } else key.noteBlock(snapshot)
  }

  /**
   * Whether the snapshot may be from before a reset that is known here: a store forgets a reset only once nothing from
   * before it counts. Also if its slice no longer counts: a reset that it tells of would undo what was admitted since.
   */
  private isOlder(snapshot: Snapshot, key: LocalKey): boolean {
    const { window, lateSlices } = this.settings.limit
    if (snapshot.slice + lateSlices < key.slice) return true
    const lastSlice = Math.floor(key.generation / window) + lateSlices
    return snapshot.generation < key.generation && snapshot.slice <= lastSlice
  }

  /** Whether the marker has changed: then the store has lost its data, except what this answer tells. */
  private hasLost(reply: Reply): boolean {
    const lost = this.marker !== undefined && this.marker !== reply.marker
    this.marker = reply.marker
    if (lost) for (const key of this.keys) key.lose()
    return lost
  }

  /** Gives the store at once what it lost and this node still holds. */
  private giveBack(): void {
    for (const key of this.keys) if (key.lost) this.outbox.requeue(key)
    void this.outbox.flushDirty().catch(() => {})
  }

  private readAgain(): void {
    for (const key of this.keys) this.readLater(key)
  }

  /** Nothing more is sent by itself. */
  stop(): void {
    this.outbox.stop()
  }
}
