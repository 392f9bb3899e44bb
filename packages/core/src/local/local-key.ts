import { type Algorithm, Numbers } from '../algorithms/algorithm.ts'
import { mulDivUp } from '../algorithms/arithmetic.ts'
import { costOf } from '../store/row.ts'
import type { Ask, Operation, Raise, Snapshot } from '../store/store.ts'
import { KeyRecord } from './key-record.ts'
import { Debt, type Holding, Ledger, NOTHING } from './ledger.ts'
import type { Rows } from './rows.ts'

/** Unbounded cost. A small integer, since a key's numbers take no room of their own as long as they are such. */
export const UNBOUNDED = 2 ** 31 - 1

/** Scratch space to read a key's state. */
const numbers = new Numbers()

/** A key as a node holds it: the store's last state with what is pending added, and what the node owes. */
export class LocalKey extends KeyRecord {
  /** @param since monotonic time at which it is taken into RAM */
  constructor(
    rows: Rows<LocalKey>,
    name: string,
    limit: Algorithm,
    since: number,
    guessedOffset: number | undefined,
  ) {
    super(limit, since)
    rows.add(this, name)
    if (guessedOffset !== undefined) this.own.guessedOffset = guessedOffset
    // Its row is that of a key never seen; a state that lies elsewhere must be made.
    if (this.state === undefined) this.renew()
  }

  get pending(): number {
    return this.ledger.pending + this.taken + this.late.pending
  }

  /** Pending cost of which the others know nothing, as it was not booked. */
  get unbooked(): number {
    return this.current.unbooked + this.late.pending
  }

  get owes(): boolean {
    return this.taken > 0 || this.ledger.owes || this.late.owes
  }

  /**
   * The cost that checks wait for, or were refused for want of quota. As a rule these are the same checks, since
   * whoever `checkSync` tells that only the store could say calls `check` next: asked for twice, quota that nobody
   * takes would be denied to others.
   */
  get need(): number {
    const { wanted } = this.pace
    if (!this.isAwaited) return wanted
    let awaited = 0
    for (const { consume, cost } of this.waiting) if (consume && this.mayPass(cost)) awaited += cost
    return Math.max(wanted, awaited)
  }

  /** Whether the store must hear of this key. */
  get mustTell(): boolean {
    return this.owes || this.stale || this.lost
  }

  /** Whether something of it is not settled yet. */
  get unsettled(): boolean {
    return this.mustTell || this.inFlight || this.waiting.length > 0 || this.ledger.held > 0
  }

  /**
   * Whether some booked quota may be spent, now or soon; or is to go back, from the slice before, once that is over for
   * the store, too.
   */
  get isBooked(): boolean {
    return this.current.isBooked || this.late.isBooked
  }

  /**
   * Whether this key may not be forgotten yet. Nor may one that is only queued: taken in anew meanwhile, it would exist
   * twice, and each would spend the quota that the other gives back.
   */
  get engaged(): boolean {
    return this.queued || this.unsettled
  }

  /** Whether a check would be denied now. */
  denies(now: number): boolean {
    return (this.blockedUntil ?? 0) > now || this.limit.usage(this.state, now) >= this.limit.limit
  }

  /** What is owed now, to be watched until it is settled or its slice is over. */
  debts(): Debt[] {
    return [this.late, this.current].filter((ledger) => ledger.owes).map((ledger) => new Debt(ledger))
  }

  isPaid(debt: Debt): boolean {
    return debt.isPaid([this.late, this.current])
  }

  /** Notes a cost that was admitted at `now`. */
  admitted(now: number, cost: number): void {
    this.current.admitted += cost
    this.ownHeadroom -= cost
    this.ownUntilSync -= cost
    if (this.limit.algorithm === 'sliding-log') this.current.note(now, cost)
    else if (!this.known && this.guessedOffset !== undefined) this.current.newest = now
  }

  /** Takes back the note of a cost that was admitted just now. */
  unadmit(cost: number): void {
    this.current.admitted -= cost
    this.headroom += cost
    this.untilSync += cost
    if (this.limit.algorithm === 'sliding-log') this.current.unnote()
  }

  /**
   * Drops pending of a bucket that has drained since it was admitted: it is owed to nobody, if nobody else took from
   * the bucket until `ago` milliseconds ago. No more of what is pending was in use then than is in use now, plus what
   * may have drained since, plus what goes back.
   */
  forgetDrained(now: number, ago: number): void {
    const { current, late, limit } = this
    const [, , rate, per] = limit.parameters as readonly [number, number, number, number]
    const goesBack = current.unsettledRefund + late.unsettledRefund
    const used = limit.usage(this.state, now) + mulDivUp(ago, rate, per) + goesBack
    const before = late.pending - Math.max(0, Math.min(late.pending, used - current.pending))
    if (before > 0) this.ownLate.admitted -= before
    const since = current.pending - used
    if (since > 0) current.admitted -= since
  }

  /** What the store says it has of this slice and the one before is no longer owed, even if it has drained since. */
  acknowledge(snapshot: Snapshot): void {
    if (!this.known || snapshot.generation !== this.generation) return
    const behind = this.slice - snapshot.slice
    if (behind === 0) {
      this.current.settled(snapshot.admitted, snapshot.refunded, snapshot.returned)
      this.before?.settled(snapshot.lateAdmitted, snapshot.lateRefunded, snapshot.lateReturned)
    } else if (behind === 1) this.before?.settled(snapshot.admitted, snapshot.refunded, snapshot.returned)
    else if (behind === -1)
      this.current.settled(snapshot.lateAdmitted, snapshot.lateRefunded, snapshot.lateReturned)
  }

  /**
   * Gives cost of a window back, and notes it; of what was taken at `at`, only what still counts. Returns how much that
   * was.
   *
   * If a better reading of the store's time has put `now` before the slice's start, whatever was admitted by then
   * belongs to the slice before: of this slice, no more goes back than this node has admitted in it.
   *
   * If the clock was ahead, this node may have counted the cost in a slice that the store has not begun. Unless `slice`
   * tells, nothing goes back: in the slice before, it would go out of what others took.
   *
   * @param slice in which this node counted it, if that is known
   * @param earliest the earliest that the store's time can be
   */
  refund(now: number, cost: number, at?: number, slice?: number, earliest = now): number {
    const begun = this.slice * this.limit.window
    if (
      at !== undefined &&
      ((this.generation > 0 && at <= this.generation) || this.isOver(at, Math.max(now, begun)))
    )
      return 0
    const isBefore =
      this.limit.algorithm === 'sliding-window' &&
      at !== undefined &&
      (slice ?? Math.floor(at / this.limit.window)) < this.slice
    if (isBefore && slice === undefined && earliest < begun) return 0
    const ledger = isBefore ? this.ownLate : this.current
    const isEarly = now < begun && !isBefore
    const most = isEarly ? Math.max(0, ledger.admitted - ledger.refunded) : cost
    const behind = isBefore ? this.behind(this.slice - 1, now) : 0
    const back = this.limit.refund(this.state, now, behind, Math.min(cost, most))
    ledger.refunded += back
    return back
  }

  /**
   * How far `slice` is behind that of the state. If the clock was ahead, the key's own slice may not have begun: the
   * one before it is then still the store's.
   */
  behind(slice: number, now: number): number {
    const { algorithm, window } = this.limit
    if (algorithm !== 'sliding-window') return this.slice - slice
    this.limit.usage(this.state, now)
    this.limit.save(this.state, numbers)
    return Math.max(0, Math.round(numbers.a / window) - 1 - slice)
  }

  /** Whether what was taken at `at` no longer counts. */
  private isOver(at: number, now: number): boolean {
    const { lateSlices, window } = this.limit
    return Math.floor(now / window) - Math.floor(at / window) > lateSlices
  }

  /**
   * The store's time has become known: what was admitted by a guess at it is moved to the time, and the slice, in which
   * it really was.
   *
   * @param latest the latest that the store's time can be now
   * @returns pending cost that can no longer be settled
   */
  correct(now: number, latest: number, monotonic: number): number {
    if (this.guessedOffset === undefined) return 0
    const { window, lateSlices } = this.limit
    // By the latest possible time, so that nothing counts as older than it is. The guess was in whole milliseconds.
    const later = latest - this.guessedOffset - monotonic
    this.own.guessedOffset = undefined
    const sliceOf = ({ newest }: Ledger) =>
      Math.floor((newest < 0 ? now : Math.min(now, newest + later + 1)) / window)
    const { before, current } = this
    const behind = before === undefined ? 0 : sliceOf(current) - sliceOf(before)
    this.slice = sliceOf(current)
    before?.shift(Math.ceil(later))
    current.shift(Math.ceil(later))
    if (before !== undefined && behind === 0) current.add(before)
    if (behind !== 1 || lateSlices === 0) this.before = undefined
    this.renew()
    // What was admitted in a slice that is over by now does not count in this one.
    const ago = Math.floor(now / window) - this.slice
    this.settlePending(this.late, ago + 1, now)
    this.settlePending(this.current, ago, now)
    return behind > lateSlices ? (before as Ledger).pending : 0
  }

  /** Holds what was admitted just now: nobody is told of it, and nobody else can have it, until it is let go. */
  hold(cost: number): Holding {
    this.current.admitted -= cost
    if (this.limit.algorithm === 'sliding-log') this.current.unnote()
    return this.current.hold(cost)
  }

  /**
   * Lets go of cost that was held since `at`, when `beside` was in use beside it. False if it was dropped: then nothing
   * happens.
   */
  letGo(holding: Holding, now: number, cost: number, at: number, beside: number): boolean {
    if (!this.current.release(holding, cost)) return false
    this.noteLetGo(cost)
    this.limit.refund(this.state, now, 0, cost, at, beside)
    this.headroom = Math.min(UNBOUNDED, this.headroom + cost)
    this.untilSync = Math.min(UNBOUNDED, this.untilSync + cost)
    return true
  }

  /** What was let go just now was taken again at once. */
  tookBack(cost: number): void {
    this.noteLetGo(-cost)
  }

  /** Drops what is held from a slice that is over, or from before a reset: it can't be taken any more. */
  dropHeld(now: number): void {
    const held = this.current.dropHeld()
    if (held === 0) return
    this.noteLetGo(held)
    this.limit.refund(this.state, now, now < this.sliceEnd ? 0 : this.limit.lateSlices, held)
  }

  /** Makes `slice` the current one: quota booked in an earlier one can't be spent any more. */
  roll(slice: number): number {
    if (slice <= this.slice) return 0
    // While the time is a guess, no slice is known to be over.
    const mayCount = this.limit.lateSlices === 1 || this.guessedOffset !== undefined
    const kept = mayCount && slice === this.slice + 1
    const expired = this.late.pending + (kept ? 0 : this.current.pending)
    this.current.dropHeld()
    this.current.giveBack(this.current.allowance)
    this.before = kept ? this.current : undefined
    this.ledger = new Ledger()
    this.slice = slice
    this.isAlone = false
    if (this.isPaced) this.ownPace.quietUntil = -Infinity
    return expired
  }

  /** `checkSync` has told that only the store could say whether this passes. */
  comesAgain(cost: number): void {
    if (this.isPaced) this.ownPace.again += cost
  }

  /** A check waits. What `checkSync` has offered before is no demand a second time. */
  offeredOnce(cost: number): void {
    if (this.pace.again < cost) return
    this.ownPace.again -= cost
    this.offered -= cost
  }

  /** Takes back demand that is no longer wanted: nothing is asked for in its place. */
  withdraw(cost: number): void {
    const { offered, pace } = this
    const left = Math.max(0, offered - cost)
    this.offered = left
    if (pace.wanted > 0) this.ownPace.wanted = Math.max(0, pace.wanted - cost)
    if (pace.again > left) this.ownPace.again = left
    // Otherwise it would be taken off what is offered from here on.
    if (pace.oversized > left) this.ownPace.keepOversizedWithin(left + pace.earlier(offered, pace.oversized))
  }

  /** Gives booked quota back, as much as there is up to `cost`. */
  returnBooked(cost: number): void {
    const back = Math.min(cost, this.current.allowance)
    this.current.giveBack(back)
    this.headroom -= back
  }

  /** Gives all booked quota back. */
  giveUp(): void {
    this.current.giveBack(this.current.allowance)
    this.current.giveUpAhead(this.limit.window)
    this.headroom = 0
  }

  /** Makes quota booked ahead spendable once its time has surely come. */
  ripen(earliest: number): void {
    const ripe = this.current.ripen(earliest)
    if (ripe > 0) this.headroom += ripe
  }

  /** Takes back quota that was given up, unless the store may have heard of that. */
  takeUp(ledger: Ledger, quota: number): void {
    if (ledger !== this.current || this.inFlight || this.stale) return
    if (ledger.returned - ledger.settledReturned >= quota) ledger.returned -= quota
  }

  /**
   * What to ask the store about this key.
   *
   * @param demand the node's, as the store was last told
   */
  operation(ask: Ask, demand: number): Operation {
    if (!this.known) return ['read', this.key, ask]
    const raise = this.isAlone && ask[2] + ask[3] === 0 ? this.raise(ask[0], demand) : undefined
    if (raise !== undefined) return raise
    const { current, late } = this
    const operation = [
      'settle',
      this.key,
      this.generation,
      this.slice,
      current.counters,
      late.counters,
      ask,
    ] as const
    return this.limit.algorithm === 'sliding-log' ? [...operation, current.entries, late.entries] : operation
  }

  /** Undefined if there is more to tell than a `raise` says. */
  private raise(demand: number, before: number): Raise | undefined {
    const { current, late } = this
    if (!current.isPlain || !late.isPlain || late.owes || this.generation > 0) return undefined
    numbers.c = 0
    this.limit.save(this.state, numbers)
    const { a, b, c } = numbers
    if (a !== this.sliceEnd) return undefined
    const { admitted, settledAdmitted } = current
    const count = b - current.pending
    return ['raise', this.key, this.slice, admitted, late.admitted, demand, count, c, settledAdmitted, before]
  }

  /** The store has what the `raise` told, and nothing else, so no block either: what it told is settled now. */
  raised([, , slice, admitted]: Raise): void {
    if (slice === this.slice) this.current.settled(admitted, 0, 0)
    else if (slice === this.slice - 1 && this.late !== NOTHING) this.late.settled(admitted, 0, 0)
    this.blockedUntil = undefined
  }

  noteBlock({ blockedUntil }: Snapshot): void {
    this.blockedUntil = blockedUntil > 0 ? blockedUntil : undefined
  }

  /** The store has lost its data. */
  lose(): void {
    this.lost = true
    if (this.limit.algorithm !== 'sliding-log') return
    this.current.lose()
    this.before?.lose()
  }

  /**
   * Whether a store that has lost the key can be given it again without an answer: nothing else is owed or to be read,
   * and nobody waits to hear what is left.
   */
  isRestorable(now: number): boolean {
    if (!this.lost || !this.known || this.owes || this.stale || this.need > 0 || this.denies(now))
      return false
    return this.current.admitted > 0 || this.late.admitted > 0
  }

  /** What to give back to a store that has lost this key. */
  restoration(): Operation {
    const { current, late } = this
    const operation = ['restore', this.key, this.generation, this.slice, current.counters] as const
    if (this.limit.algorithm === 'sliding-log')
      return [...operation, late.counters, null, current.entries, late.entries]
    return late.admitted > 0 ? [...operation, late.counters] : operation
  }

  /**
   * Takes in the store's answer; what is pending stays so until the store itself says that it has it.
   *
   * @param unheard store time by which all quota booked by lost answers may be spent
   */
  reconcile(snapshot: Snapshot, now: number, unheard: number): number {
    // What an unknown key owes was admitted after it was taken into RAM: no reset from before that undoes it.
    if (snapshot.generation > this.generation && this.known) {
      this.note()
      // Nor does a reset undo what was admitted in a slice that began after it, while the answer was under way.
      const { slice } = this
      const lastUndone = Math.floor(snapshot.generation / this.limit.window)
      if (slice <= lastUndone) this.ledger = new Ledger()
      if (slice - 1 <= lastUndone) this.before = undefined
    }
    // May be lower: the store forgets a reset once nothing from before it could count any more, or with all its data.
    this.generation = snapshot.generation
    const expired = this.roll(snapshot.slice)
    const ahead = this.slice - snapshot.slice
    // The store acknowledges nothing more of a fixed window's last slice: it would stay owed for the whole of this one.
    const late = ahead === 1 && this.limit.lateSlices === 1 ? this.ownLate : undefined
    const theirs = ahead === 0 ? this.current : late
    if (!this.known) {
      // Its counters go on from what an earlier stay of this key in RAM has settled.
      theirs?.resume(snapshot.admitted, snapshot.refunded, snapshot.returned)
      if (ahead === 0 && snapshot.lateAdmitted + snapshot.lateRefunded + snapshot.lateReturned > 0)
        this.ownLate.resume(snapshot.lateAdmitted, snapshot.lateRefunded, snapshot.lateReturned)
      if (this.limit.algorithm === 'sliding-log')
        // What it has settled is no newer than the log's newest entry, whosever that is.
        for (const ledger of [this.current, this.ownLate]) ledger.newest = Math.max(ledger.newest, snapshot.b)
      this.known = true
    }
    if (theirs !== undefined) {
      const more = snapshot.granted - theirs.granted
      theirs.granted = Math.max(theirs.granted, snapshot.granted)
      if (more > 0 && this.limit.algorithm === 'sliding-log') {
        const { starts } = snapshot
        const untold = Math.min(more, theirs.allowance) - costOf(starts)
        theirs.await(untold > 0 ? [...starts, unheard, untold] : starts)
      }
      if (ahead === 1) theirs.giveBack(theirs.allowance)
      theirs.settled(snapshot.admitted, snapshot.refunded, snapshot.returned)
      if (ahead === 0 && (this.before !== undefined || snapshot.lateGranted > 0)) {
        const late = this.ownLate
        // Booked by a lost answer, and of no use any more.
        late.granted = Math.max(late.granted, snapshot.lateGranted)
        late.forgetAhead()
        late.giveBack(late.allowance)
        late.settled(snapshot.lateAdmitted, snapshot.lateRefunded, snapshot.lateReturned)
      }
    }
    this.isAlone = ahead === 0 && snapshot.isAlone
    this.noteBlock(snapshot)
    this.given = snapshot.given
    this.limit.load(this.state, snapshot)
    if (this.late.owes) this.settlePending(this.late, this.behind(this.slice - 1, now), now)
    this.settlePending(this.current, 0, now)
    const { held } = this.current
    if (held > 0) this.limit.settle(this.state, now, 0, held)
    return expired
  }

  private settlePending(ledger: Ledger, behind: number, now: number): void {
    if (behind > this.limit.lateSlices || !ledger.owes) return
    const log = this.limit.algorithm === 'sliding-log'
    if (ledger.pending > 0)
      this.limit.settle(this.state, now, behind, ledger.pending, log ? ledger.entries : undefined)
    // Only windows have any: refunds of the other algorithms go by the store.
    const back = ledger.unsettledRefund
    if (back > 0) this.limit.refund(this.state, now, behind, back)
  }
}
