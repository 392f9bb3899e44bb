import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Decision } from '../decision.ts'
import type { Ask, Operation, Snapshot } from '../store/store.ts'
import { Debt, type Holding, Ledger, NOTHING } from './ledger.ts'
import { ALONE, Pace } from './pace.ts'
import type { Held, Rows, Segment } from './rows.ts'

/** A check that waits for the store. */
export interface Waiter {
  readonly cost: number
  readonly consume: boolean
  /** Monotonic. */
  readonly deadline: number
  /** For a decision on several limits: it waits for one answer, and whatever that says is the last. */
  readonly isPart?: boolean
  /** Its cost was asked for by a command that has left. */
  asked?: boolean
  /** @param unheard the store did not answer */
  resolve(decision: Decision, unheard?: boolean): void
  reject(error: unknown): void
}

/** Of cost that nothing bounds: a small integer, since a key's numbers take no room of their own as long as they are such. */
export const UNBOUNDED = 2 ** 31 - 1
const NOBODY: Waiter[] = []
Object.freeze(NOBODY)

const KNOWN = 1
const QUEUED = 2
const URGENT = 4
const IN_FLIGHT = 8
const STALE = 16
const LOST = 32
const READY = 64
/** Four bits. */
const QUEUE_NUMBER = 128
const QUEUE_NUMBERS = 15 * QUEUE_NUMBER

/** What few keys have. */
class Particulars {
  /** Not there: it is not blocked. */
  blockedUntil: number | undefined = undefined
  generation = 0
  /** What was counted in the slice before. */
  late: Ledger | undefined = undefined
  pace: Pace | undefined = undefined
  /** Store time less monotonic time, as long as that is only a guess. */
  guessedOffset: number | undefined = undefined
  /** A state that is more than a few numbers. */
  state: unknown = undefined
}

const NO_PARTICULARS = new Particulars()
Object.freeze(NO_PARTICULARS)

/**
 * A key as a node holds it: the store's last state with what is pending added, and what the node owes. There may be
 * millions: what few need is made when it is needed, and what nearly all checks need is in the key's row.
 */
export class LocalKey implements Held {
  declare row: Segment<this>
  declare at: number
  /** What is so of it, bit by bit: eight booleans would be eight words. */
  private flags = 0
  limit: Algorithm

  /** As the accessors of these names have them, but for what was taken of what was `ready`. */
  private ownHeadroom = 0
  private ownUntilSync = 0
  private ownOffered = 0
  private ledger = new Ledger()
  private waiters = NOBODY
  private particulars = NO_PARTICULARS
  /** Monotonic time at which it was taken into RAM: in whole milliseconds, which need no number on the heap. */
  private readonly since: number

  /** @param since monotonic time at which it is taken into RAM */
  constructor(
    rows: Rows<LocalKey>,
    name: string,
    hash: number,
    limit: Algorithm,
    since: number,
    guessedOffset: number | undefined,
  ) {
    this.limit = limit
    this.since = Math.floor(since)
    rows.add(this, name, hash)
    if (guessedOffset !== undefined) this.own.guessedOffset = guessedOffset
    this.renew()
  }

  get key(): string {
    return this.row.names[this.at] as string
  }

  /** Cost that checks may take with nothing else to be looked at, nor noted but in the row. */
  private get ready(): number {
    return this.row.ready(this.at)
  }

  private set ready(cost: number) {
    this.row.setReady(this.at, cost)
  }

  /** None yet: below 0. */
  get slice(): number {
    return this.row.slice(this.at)
  }

  private set slice(number: number) {
    this.row.setSlice(this.at, number)
  }

  /** To be used at once: another key's may lie there next. */
  get state(): unknown {
    return this.row.state(this.at) ?? this.particulars.state
  }

  /** As if the key had never been seen. */
  private renew(): void {
    const cells = this.row.state(this.at)
    if (cells === undefined) this.own.state = this.limit.create()
    else cells.clear()
  }

  /** To be changed. */
  private get own(): Particulars {
    if (this.particulars === NO_PARTICULARS) this.particulars = new Particulars()
    return this.particulars
  }

  /** How much a check may take without the store being asked, of what is left before that. */
  private get margin(): number {
    return Math.max(0, Math.floor(Math.min(this.ownHeadroom, this.ownUntilSync - 1)))
  }

  /**
   * The checks that come may take what is there without a look at anything else, until anything else is looked at. Only
   * of a key of which the store will hear, or need not, and that is no log.
   */
  makeReady(): void {
    this.note()
    this.ready = this.margin
    this.flags |= READY
  }

  /** Notes what was taken of what was ready. */
  private note(): void {
    if ((this.flags & READY) === 0) return
    const taken = this.margin - this.ready
    this.ready = 0
    this.flags &= ~READY
    this.ownHeadroom -= taken
    this.ownUntilSync -= taken
    this.ownOffered += taken
    this.ledger.admitted += taken
  }

  /** Cost that may yet be admitted before the store is heard again. */
  get headroom(): number {
    this.note()
    return this.ownHeadroom
  }

  set headroom(cost: number) {
    this.note()
    this.ownHeadroom = cost
  }

  /** Cost that may yet be admitted before the store is asked early. */
  get untilSync(): number {
    this.note()
    return this.ownUntilSync
  }

  set untilSync(cost: number) {
    this.note()
    this.ownUntilSync = cost
  }

  /** Cost offered here since the demand was last looked at. */
  get offered(): number {
    this.note()
    return this.ownOffered
  }

  set offered(cost: number) {
    this.note()
    this.ownOffered = cost
  }

  /** Not there: it is not blocked. */
  get blockedUntil(): number | undefined {
    return this.particulars.blockedUntil
  }

  set blockedUntil(time: number | undefined) {
    this.note()
    if (time !== this.blockedUntil) this.own.blockedUntil = time
  }

  /** The time of the key's last reset, as the store says; 0: none. */
  get generation(): number {
    return this.particulars.generation
  }

  private set generation(time: number) {
    if (time !== this.generation) this.own.generation = time
  }

  private get before(): Ledger | undefined {
    return this.particulars.late
  }

  private set before(ledger: Ledger | undefined) {
    if (ledger !== this.before) this.own.late = ledger
  }

  private get guessedOffset(): number | undefined {
    return this.particulars.guessedOffset
  }

  /** Whether the store has answered for this key. */
  get known(): boolean {
    return (this.flags & KNOWN) !== 0
  }

  set known(is: boolean) {
    this.flag(KNOWN, is)
  }

  /** To be sent. */
  get queued(): boolean {
    return (this.flags & QUEUED) !== 0
  }

  set queued(is: boolean) {
    this.note()
    this.flag(QUEUED, is)
  }

  /** The number of the queue in which it is; 0: in none. */
  get queueNumber(): number {
    return (this.flags & QUEUE_NUMBERS) / QUEUE_NUMBER
  }

  set queueNumber(number: number) {
    this.flags = (this.flags & ~QUEUE_NUMBERS) | (number * QUEUE_NUMBER)
  }

  /** Queued to be sent now. */
  get urgent(): boolean {
    return (this.flags & URGENT) !== 0
  }

  set urgent(is: boolean) {
    this.flag(URGENT, is)
  }

  /** Sent, and not answered yet. */
  get inFlight(): boolean {
    return (this.flags & IN_FLIGHT) !== 0
  }

  set inFlight(is: boolean) {
    this.flag(IN_FLIGHT, is)
  }

  /** What the store has may differ from what is known here: to be read again, though nothing may be owed. */
  get stale(): boolean {
    return (this.flags & STALE) !== 0
  }

  set stale(is: boolean) {
    this.flag(STALE, is)
  }

  /** The store has lost what this node settled of the key. */
  get lost(): boolean {
    return (this.flags & LOST) !== 0
  }

  set lost(is: boolean) {
    this.flag(LOST, is)
  }

  private flag(flag: number, is: boolean): void {
    this.flags = is ? this.flags | flag : this.flags & ~flag
  }

  /** How this node shares it with others. */
  get pace(): Pace {
    return this.particulars.pace ?? ALONE
  }

  /** As `pace`, to be changed: from here on the key's demand is watched. */
  get ownPace(): Pace {
    const { own } = this
    own.pace ??= new Pace(this.since)
    return own.pace
  }

  get isPaced(): boolean {
    return this.particulars.pace !== undefined
  }

  /** Store time. */
  get sliceEnd(): number {
    return (this.slice + 1) * this.limit.window
  }

  /** What was counted in this slice. */
  get current(): Ledger {
    this.note()
    return this.ledger
  }

  /** What was counted in the slice before. */
  get late(): Ledger {
    return this.before ?? NOTHING
  }

  /** As `late`, to be changed. */
  private get ownLate(): Ledger {
    this.before ??= new Ledger()
    return this.before
  }

  get waiting(): readonly Waiter[] {
    return this.waiters
  }

  /** The check waits until it is served. */
  wait(waiter: Waiter): void {
    if (this.waiters === NOBODY) this.waiters = [waiter]
    else this.waiters.push(waiter)
  }

  /** A command leaves that asks for what these wait for. */
  asks(): void {
    for (const waiter of this.waiters) waiter.asked = true
  }

  /** Those that wait, in their order; from here on, none does. */
  takeWaiting(): readonly Waiter[] {
    const { waiters } = this
    this.waiters = NOBODY
    return waiters
  }

  get pending(): number {
    return this.current.pending + this.late.pending
  }

  get owes(): boolean {
    return this.current.owes || this.late.owes
  }

  /** The cost that checks wait for, or were refused for want of quota. */
  get need(): number {
    let need = this.pace.wanted
    for (const waiter of this.waiting) if (waiter.consume) need += waiter.cost
    return need
  }

  /** Whether the store must hear of this key. */
  get mustTell(): boolean {
    return this.owes || this.stale || this.lost
  }

  /** Whether something of it is not settled yet. */
  get unsettled(): boolean {
    return this.mustTell || this.inFlight || this.waiting.length > 0 || this.current.held > 0
  }

  /**
   * Whether this key may not be forgotten yet. Also one that is only to be sent: taken in anew meanwhile, it would be
   * here twice, and each would spend the quota that the other gives back.
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

  /** Gives cost back, and notes it; of what was taken at `at`, what still counts. Returns how much that was. */
  refund(now: number, cost: number, at?: number): number {
    if (at !== undefined && this.generation > 0 && at <= this.generation) return 0
    const isBefore =
      this.limit.algorithm === 'sliding-window' && at !== undefined && at < this.sliceEnd - this.limit.window
    const back = this.limit.refund(this.state, now, isBefore ? 1 : 0, cost, at)
    const ledger = isBefore ? this.ownLate : this.current
    ledger.refunded += back
    return back
  }

  /**
   * The store's time has become known: what was admitted by a guess at it was admitted as long ago as it was, and not
   * where the guess has it in another slice.
   *
   * @param latest the latest that the store's time can be now
   * @returns pending cost that can no longer be settled
   */
  correct(now: number, latest: number, monotonic: number): number {
    if (this.guessedOffset === undefined) return 0
    const { window, lateSlices } = this.limit
    // By the latest that it can be: none counts as older than it is. The guess was in whole milliseconds.
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
    this.settlePending(this.late, 1, now)
    this.settlePending(this.current, 0, now)
    return behind > lateSlices ? (before as Ledger).pending : 0
  }

  /** Holds what was admitted just now: nobody is told of it, and nobody else can have it, until it is let go. */
  hold(cost: number): Holding {
    this.current.admitted -= cost
    if (this.limit.algorithm === 'sliding-log') this.current.unnote()
    return this.current.hold(cost)
  }

  /** Lets go of cost that was held since `at`, when so much was in use beside it; nothing happens where it was dropped. */
  letGo(holding: Holding, now: number, cost: number, at: number, beside: number): void {
    if (!this.current.release(holding, cost)) return
    this.limit.refund(this.state, now, 0, cost, at, beside)
    this.headroom = Math.min(UNBOUNDED, this.headroom + cost)
    this.untilSync = Math.min(UNBOUNDED, this.untilSync + cost)
  }

  /** What is held was so in a slice that is over, or before a reset: it can't be taken any more. */
  dropHeld(now: number): void {
    const held = this.current.dropHeld()
    if (held > 0) this.limit.refund(this.state, now, now < this.sliceEnd ? 0 : this.limit.lateSlices, held)
  }

  /** Makes `slice` the current one: quota booked in an earlier one can't be spent any more. */
  roll(slice: number): number {
    if (slice <= this.slice) return 0
    // By a guess at the time no slice is known to be over.
    const mayCount = this.limit.lateSlices === 1 || this.guessedOffset !== undefined
    const kept = mayCount && slice === this.slice + 1
    const expired = this.late.pending + (kept ? 0 : this.current.pending)
    this.current.dropHeld()
    this.current.giveBack(this.current.allowance)
    this.before = kept ? this.current : undefined
    this.ledger = new Ledger()
    this.slice = slice
    if (this.isPaced) this.ownPace.quietUntil = -Infinity
    return expired
  }

  /** So much was offered here and is wanted no more: nothing is asked for in its place. */
  withdraw(cost: number): void {
    this.offered = Math.max(0, this.offered - cost)
    if (this.pace.wanted > 0) this.ownPace.wanted = Math.max(0, this.pace.wanted - cost)
  }

  /** Gives so much booked quota back. */
  returnBooked(cost: number): void {
    const back = Math.min(cost, this.current.allowance)
    this.current.giveBack(back)
    this.headroom -= back
  }

  /** Gives all booked quota back. */
  giveUp(): void {
    this.current.giveBack(this.current.allowance)
    this.headroom = 0
  }

  /** Has quota again that was given up, unless the store may have heard of that. */
  takeUp(ledger: Ledger, quota: number): void {
    if (ledger !== this.current || this.inFlight || this.stale) return
    if (ledger.returned - ledger.settledReturned >= quota) ledger.returned -= quota
  }

  /** What to ask the store about this key. */
  operation(ask: Ask): Operation {
    if (!this.known) return ['read', this.key, ask]
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

  /** The store has lost its data. */
  lose(): void {
    this.lost = true
    if (this.limit.algorithm !== 'sliding-log') return
    this.current.lose()
    this.before?.lose()
  }

  /**
   * Whether a store that has lost the key can be given it again without an answer: where nothing else is owed or to be
   * read, and nobody waits to hear what of it is left.
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

  /** Takes in the store's answer; what is pending stays so until the store itself says that it has it. */
  reconcile(snapshot: Snapshot, now: number): number {
    // What an unknown key owes was admitted after it was taken into RAM: no reset that it slept through undoes that.
    if (snapshot.generation > this.generation && this.known) {
      this.note()
      this.ledger = new Ledger()
      this.before = undefined
    }
    // Lower: the store forgets a reset once nothing from before it could count any more, or with all its data.
    this.generation = snapshot.generation
    const expired = this.roll(snapshot.slice)
    const ahead = this.slice - snapshot.slice
    const theirs = ahead === 0 ? this.current : ahead === 1 ? this.ownLate : undefined
    if (!this.known) {
      // What an earlier stay of this key in RAM has settled is where its counters go on from.
      theirs?.resume(snapshot.admitted, snapshot.refunded, snapshot.returned)
      if (ahead === 0 && snapshot.lateAdmitted + snapshot.lateRefunded + snapshot.lateReturned > 0)
        this.ownLate.resume(snapshot.lateAdmitted, snapshot.lateRefunded, snapshot.lateReturned)
      if (this.limit.algorithm === 'sliding-log')
        for (const ledger of [this.current, this.ownLate]) ledger.newest = now
      this.known = true
    }
    if (theirs !== undefined) {
      theirs.granted = Math.max(theirs.granted, snapshot.granted)
      if (ahead === 1) theirs.giveBack(theirs.allowance)
      theirs.settled(snapshot.admitted, snapshot.refunded, snapshot.returned)
      if (ahead === 0 && (this.before !== undefined || snapshot.lateGranted > 0)) {
        const late = this.ownLate
        // Booked by an answer that was lost, and no use any more.
        late.granted = Math.max(late.granted, snapshot.lateGranted)
        late.giveBack(late.allowance)
        late.settled(snapshot.lateAdmitted, snapshot.lateRefunded, snapshot.lateReturned)
      }
    }
    this.blockedUntil = snapshot.blockedUntil > 0 ? snapshot.blockedUntil : undefined
    this.limit.load(this.state, snapshot)
    this.settlePending(this.late, 1, now)
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
    const back = ledger.refunded - ledger.settledRefunded
    if (back > 0) this.limit.refund(this.state, now, behind, back)
  }
}
