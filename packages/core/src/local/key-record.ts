import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Decision } from '../decision.ts'
import { type GivenBack, NOTHING_GIVEN } from '../store/store.ts'
import { Ledger, NOTHING } from './ledger.ts'
import { ALONE, Pace } from './pace.ts'
import type { Held, Segment } from './rows.ts'

/** A check that waits for the store. */
export interface Waiter {
  readonly cost: number
  readonly consume: boolean
  /** Monotonic. */
  readonly deadline: number
  /** For a decision on several limits: it waits for one answer, and whatever that says is final. */
  readonly isPart?: boolean
  /** A command that asks for its cost has left. */
  asked?: boolean
  /** @param unheard the store did not answer */
  resolve(decision: Decision, unheard?: boolean): void
  reject(error: unknown): void
}

const NOBODY: Waiter[] = []
Object.freeze(NOBODY)

const KNOWN = 1
const QUEUED = 2
const URGENT = 4
const IN_FLIGHT = 8
const STALE = 16
const LOST = 32
const READY = 64
const SHUT = 128
const USED_UP = 256
/** Four bits. */
const QUEUE_NUMBER = 512
const QUEUE_NUMBERS = 15 * QUEUE_NUMBER
const ALONE_IN_STORE = 16 * QUEUE_NUMBER

/** `ready` of a key that was just shut. Each refused check adds 1: it stays below 0 for as many as can come. */
const REFUSING = -(2 ** 31)

/** How many checks the row alone may refuse, if the store may have to be asked about the key. */
const FEW = 16

/** Whether the flags are those of a shut key about which asking the store is of no use. */
export function isUsedUp(flags: number): boolean {
  return (flags & USED_UP) !== 0
}

/** Whether `FEW` checks of a shut key have been refused, by its present `ready`. */
export function isManyRefused(ready: number): boolean {
  return ready >= REFUSING + FEW
}

export function isUnqueued(flags: number): boolean {
  return (flags & QUEUED) === 0
}

/** Queued, or sent and not answered yet. */
export function isUnderWay(flags: number): boolean {
  return (flags & (QUEUED | IN_FLIGHT)) !== 0
}

/** What only few keys need. */
class Particulars {
  /** Undefined: not blocked. */
  blockedUntil: number | undefined = undefined
  generation = 0
  given = NOTHING_GIVEN
  /** Cost that was held for checks and is not any more. */
  letGo = 0
  /** What was counted in the slice before. */
  late: Ledger | undefined = undefined
  pace: Pace | undefined = undefined
  /** Store time minus monotonic time, as long as that is only a guess. */
  guessedOffset: number | undefined = undefined
  /** A state that is more than a few numbers. */
  state: unknown = undefined
}

const NO_PARTICULARS = new Particulars()
Object.freeze(NO_PARTICULARS)

/**
 * What a node has of a key, as it lies in memory. There may be millions of keys: what few need is made only when it is
 * needed, and what nearly all checks need is in the key's row.
 */
export abstract class KeyRecord implements Held {
  declare row: Segment<this>
  declare at: number
  limit: Algorithm

  /** Behind the accessors of these names: what was taken of `ready` is not noted here yet. */
  protected ownHeadroom = 0
  protected ownUntilSync = 0
  private ownOffered = 0
  /** Read without `note()`, which leaves a ready key so: to be looked at only together with `taken`. */
  protected ledger = new Ledger()
  private waiters = NOBODY
  private particulars = NO_PARTICULARS
  /** Monotonic time at which the key was taken into RAM: in whole milliseconds, which need no number on the heap. */
  readonly since: number

  /** @param since monotonic time at which it is taken into RAM */
  constructor(limit: Algorithm, since: number) {
    this.limit = limit
    this.since = Math.floor(since)
  }

  get key(): string {
    return this.row.names[this.at] as string
  }

  /** Cost that checks may take by the row alone: nothing else is looked at, or noted. */
  private get ready(): number {
    return this.row.ready(this.at)
  }

  private set ready(cost: number) {
    this.row.setReady(this.at, cost)
  }

  private get flags(): number {
    return this.row.flags(this.at)
  }

  private set flags(bits: number) {
    this.row.setFlags(this.at, bits)
  }

  /** Below 0: none yet. */
  get slice(): number {
    return this.row.slice(this.at)
  }

  protected set slice(number: number) {
    this.row.setSlice(this.at, number)
  }

  /** To be used at once: it is valid only until another key's state is asked for. */
  get state(): unknown {
    return this.row.state(this.at) ?? this.particulars.state
  }

  /** Makes the state that of a key never seen. */
  protected renew(): void {
    const cells = this.row.state(this.at)
    if (cells === undefined) this.own.state = this.limit.create()
    else cells.clear()
  }

  /** `particulars`, to be changed. */
  protected get own(): Particulars {
    if (this.particulars === NO_PARTICULARS) this.particulars = new Particulars()
    return this.particulars
  }

  /** Cost that checks may take before the store is to be asked. */
  private get margin(): number {
    return Math.max(0, Math.floor(Math.min(this.ownHeadroom, this.ownUntilSync - 1)))
  }

  /**
   * Lets checks take the margin by the row alone, until anything else is looked at. Only for a key of which the store
   * will hear, or need not, and not for a log.
   */
  makeReady(): void {
    this.note()
    this.ready = this.margin
    this.flags |= READY
  }

  /** Lets checks be refused by the row alone, as long as the limit does refuse them. */
  makeShut(usedUp: boolean): void {
    this.note()
    this.ready = REFUSING
    this.flags |= SHUT | (usedUp ? USED_UP : 0)
  }

  /** What was taken of `ready`, and is not noted yet. */
  protected get taken(): number {
    return (this.flags & READY) === 0 ? 0 : this.margin - this.ready
  }

  /** Notes what was taken of `ready`, or refused by it: the next check looks at more than the row. */
  note(): void {
    const { flags } = this
    if ((flags & (READY | SHUT)) === 0) return
    const { ready, taken } = this
    this.ready = 0
    this.flags = flags & ~(READY | SHUT | USED_UP)
    if ((flags & SHUT) !== 0) {
      this.ownOffered += ready - REFUSING
      return
    }
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

  /** Adds to the cost offered here; a key that is ready, or shut, stays so. */
  offer(cost: number): void {
    if (this.mayPass(cost)) this.ownOffered += cost
  }

  /** A cost above the limit is no demand: it never passes, and quota booked for it would only be kept from others. */
  protected mayPass(cost: number): boolean {
    return cost <= this.limit.limit
  }

  /** Undefined: not blocked. */
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

  protected set generation(time: number) {
    if (time !== this.generation) this.own.generation = time
  }

  /** What has been given back of a bucket, as the store says. */
  get given(): GivenBack {
    return this.particulars.given
  }

  protected set given(given: GivenBack) {
    if (given[1] !== this.given[1] || given[0] !== this.given[0]) this.own.given = given
  }

  /** Cost held for checks that other limits refused, and let go: the store never heard of it. */
  get letGoInAll(): number {
    return this.particulars.letGo
  }

  protected noteLetGo(cost: number): void {
    this.own.letGo += cost
  }

  protected get before(): Ledger | undefined {
    return this.particulars.late
  }

  protected set before(ledger: Ledger | undefined) {
    if (ledger !== this.before) this.own.late = ledger
  }

  protected get guessedOffset(): number | undefined {
    return this.particulars.guessedOffset
  }

  /** Whether the store has answered for this key. */
  get known(): boolean {
    return (this.flags & KNOWN) !== 0
  }

  set known(is: boolean) {
    this.flag(KNOWN, is)
  }

  /** A monotonic time no later than the store was last heard of this key. */
  get heardAt(): number {
    return this.isPaced ? this.pace.heardAt : this.since
  }

  /** To be sent. */
  get queued(): boolean {
    return (this.flags & QUEUED) !== 0
  }

  set queued(is: boolean) {
    this.note()
    this.flag(QUEUED, is)
  }

  /** The number of the queue that the key is in; 0: none. */
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

  /** The store may have something else than is known here: the key is to be read again, even if nothing is owed. */
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

  /** The store seems to keep nothing but what this node has admitted in the slice. */
  get isAlone(): boolean {
    return (this.flags & ALONE_IN_STORE) !== 0
  }

  set isAlone(is: boolean) {
    this.flag(ALONE_IN_STORE, is)
  }

  private flag(flag: number, is: boolean): void {
    this.flags = is ? this.flags | flag : this.flags & ~flag
  }

  /** How this node shares the key with others. */
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
  protected get ownLate(): Ledger {
    this.before ??= new Ledger()
    return this.before
  }

  get waiting(): readonly Waiter[] {
    return this.waiters
  }

  /** Whether any check waits. */
  get isAwaited(): boolean {
    return this.waiters.length > 0
  }

  /** The check waits until it is served. */
  wait(waiter: Waiter): void {
    if (this.waiters === NOBODY) this.waiters = [waiter]
    else this.waiters.push(waiter)
  }

  /** A command leaves that asks for what the waiting checks want. */
  asks(): void {
    for (const waiter of this.waiters) if (this.mayPass(waiter.cost)) waiter.asked = true
  }

  /** The waiting checks, in their order; from here on, none waits. */
  takeWaiting(): readonly Waiter[] {
    const { waiters } = this
    this.waiters = NOBODY
    return waiters
  }
}
