import { type Algorithm, isBucket, isWindow, Numbers, resetAfterOf } from '../../algorithms/algorithm.ts'
import { blockedDecision, type Decision, withoutBooked } from '../../decision.ts'
import { keyOfWire } from '../../key.ts'
import {
  type GivenBack,
  type LimitInForce,
  NOTHING_GIVEN,
  type Operation,
  type Reply,
  Snapshot,
} from '../store.ts'
import { BARE, BRIEF, Kind } from './rows.ts'
import type { Settlements } from './settlements.ts'

/**
 * What the status byte of a reply says. `taken`: as done, but each key tells only its state; `takenGiven`: and what was
 * given back to it. `takenQuickly` and `takenQuicklyGiven`: the same by a quick take, see `quick-take.lua.ts`.
 * `settled`: as done, and the results begin with those of the settlements that travelled as lists.
 */
export const Status = {
  done: 0,
  late: 1,
  repeated: 2,
  mismatch: 3,
  taken: 4,
  takenQuickly: 5,
  settled: 6,
  takenGiven: 7,
  takenQuicklyGiven: 8,
} as const

const HEADER = 9
const MARKER = 36
/** A log's sum of admitted cost begins at 0 again here. */
const LOG_SUMS = 2 ** 52

type AnyTake = Operation & { 0: 'take' }

/** Whether it answers a quick take. */
export function isQuickAnswer(answer: Buffer): boolean {
  const status = answer[0]
  return status === Status.takenQuickly || status === Status.takenQuicklyGiven
}

/** Reads a script's answer from its first byte to its last. */
export class ReplyReader {
  readonly status: number
  /** Store time with its fraction. */
  readonly time: number
  private at = HEADER
  private readonly numbers = new Numbers()
  /** Of the key that was read last; 0 if only its state is kept. */
  private booked = 0
  private bookedOf: Map<string, number> | undefined
  private given = NOTHING_GIVEN
  private givenOf: Map<string, GivenBack> | undefined
  private blockedUntil = 0
  /** The state of the key whose decisions are replayed. */
  private replayed: unknown
  /** Reads doubles in a third of the time that a Buffer takes. */
  private readonly view: DataView
  /** Whether each key tells only its state; and whether buckets tell what was given back. */
  private readonly isBrief: boolean
  private readonly tellsGiven: boolean

  constructor(private readonly bytes: Buffer) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.status = bytes.readUInt8(0)
    this.time = this.view.getFloat64(1)
    const { status } = this
    this.isBrief = status >= Status.taken && status !== Status.settled
    this.tellsGiven = status !== Status.taken && status !== Status.takenQuickly
  }

  /** The rest as text: the signature that a mismatch carries. */
  text(): string {
    return this.bytes.toString('latin1', this.at)
  }

  /**
   * Replays the decisions of the takes from the state before each, as the script took them.
   *
   * @param payer the byte that says that this table took, if several take together
   */
  reply(
    own: Algorithm,
    operations: readonly Operation[],
    follows: boolean,
    settlements?: Settlements,
    payer?: number,
  ): Reply {
    const now = Math.floor(this.time)
    const nodes = this.double()
    const changesFrom = this.double()
    const marker = this.marker()
    const changes = this.double()
    const inForce: number[] = []
    for (let left = this.double(); left > 0; left--) inForce.push(this.double())
    const limit = inForce.length === 0 ? own : own.with(inForce.slice(1))
    const changed: Snapshot[] = []
    for (let left = changes; left > 0; left--) {
      const length = this.double()
      const key = keyOfWire(this.bytes.toString('utf8', this.at, this.at + length))
      this.at += length
      changed.push(this.snapshot(limit, key))
    }
    const results =
      this.status === Status.settled
        ? this.settled(limit, now, operations, settlements as Settlements)
        : operations.map((operation) => this.result(limit, now, operation, payer))
    const set = follows ? (inForce as unknown as LimitInForce) : undefined
    const { bookedOf: booked, givenOf: given } = this
    return { now, marker, nodes, changesFrom, changed, results, limit: set, booked, given }
  }

  /** Reads the answer to a quick take: only states, and what was given back. @param state to replay in */
  taken(
    limit: Algorithm,
    operations: readonly Operation[],
    state: unknown,
  ): Pick<Reply, 'results' | 'given'> {
    this.replayed = state
    const results = operations.map((take) => this.decisions(limit, this.time, take as AnyTake))
    return { results, given: this.givenOf }
  }

  private result(
    limit: Algorithm,
    now: number,
    operation: Operation,
    payer?: number,
  ): Reply['results'][number] {
    if (operation[0] === 'take') return this.decisions(limit, now, operation, payer)
    if (operation[0] === 'peek') return this.decisions(limit, now, undefined)
    return operation[0] === 'restore' ? undefined : this.snapshot(limit, operation[1])
  }

  /**
   * A raised row that was not as seen is answered like those in the lists. First come the keys whose rows are told as
   * they are kept, then the other operations, then the keys that went the long way.
   */
  private settled(
    limit: Algorithm,
    now: number,
    operations: readonly Operation[],
    { listedAt, raisedAt, othersAt }: Settlements,
  ): Reply['results'] {
    const results: Reply['results'][number][] = new Array(operations.length).fill(undefined)
    const keyAt = (place: number) => (operations[place] as Operation)[1]
    const otherwise = this.list().map((number) => raisedAt[number - 1] as number)
    const listed = otherwise.length === 0 ? listedAt : [...listedAt, ...otherwise]
    const wentLong = this.list().map((number) => listed[number - 1] as number)
    const long = new Set(wentLong)
    const slice = Math.floor(now / limit.window)
    for (const place of listed)
      if (!long.has(place)) results[place] = this.single(keyAt(place), slice, isWindow(limit))
    for (const place of othersAt) results[place] = this.result(limit, now, operations[place] as Operation)
    for (const place of wentLong) results[place] = this.snapshot(limit, keyAt(place))
    return results
  }

  /** A row as the script keeps it: see `settlements.lua.ts`. */
  private single(key: string, slice: number, isWindow: boolean): Snapshot {
    const { view, at } = this
    const snapshot = new Snapshot(key)
    snapshot.slice = slice
    snapshot.a = view.getFloat64(at)
    snapshot.b = view.getFloat64(at + 8)
    const kind = view.getUint8(at + 24)
    snapshot.isAlone = isWindow && kind !== Kind.shared && kind !== Kind.sharedBrief
    if (kind === Kind.bare) {
      snapshot.admitted = snapshot.b
      this.at += BARE
      return snapshot
    }
    snapshot.admitted = view.getFloat64(at + 25)
    snapshot.demand = view.getFloat64(at + 33)
    this.at += BRIEF
    if (kind === Kind.brief || kind === Kind.sharedBrief) return snapshot
    snapshot.lateAdmitted = this.double()
    snapshot.c = this.double()
    snapshot.d = this.double()
    this.at += 8
    return snapshot
  }

  private marker(): string {
    const marker = this.bytes.toString('latin1', this.at, this.at + MARKER)
    this.at += MARKER
    return marker
  }

  private double(): number {
    const value = this.view.getFloat64(this.at)
    this.at += 8
    return value
  }

  private list(): number[] {
    const numbers: number[] = []
    for (let left = this.double(); left > 0; left--) numbers.push(this.double())
    return numbers
  }

  /**
   * A log, as the script keeps it: times, each with the sum admitted up to it; the first is what no longer counts. If
   * the sums run backwards, no entries: then all that is in use counts as the newest.
   */
  private entries(): number[] {
    const entries: number[] = []
    const end = this.double() + this.at
    if (this.at === end) return entries
    this.at += 8
    for (let before = this.double(); this.at < end; ) {
      const time = this.double()
      const sum = this.double()
      const cost = (sum - before + LOG_SUMS) % LOG_SUMS
      if (cost > LOG_SUMS / 2) {
        this.at = end
        return []
      }
      entries.push(time, cost)
      before = sum
    }
    return entries
  }

  /** Reads the state into `numbers`, what is booked, and until when the key is blocked. */
  private state(limit: Algorithm, numbers: Numbers): void {
    numbers.a = this.double()
    numbers.b = this.double()
    const isLog = limit.algorithm === 'sliding-log'
    if (!isLog) {
      numbers.c = this.double()
      numbers.d = this.double()
    }
    if (!this.isBrief) {
      this.booked = this.double()
      this.blockedUntil = this.double()
    }
    if (this.tellsGiven && isBucket(limit)) this.readGiven()
    if (isLog) numbers.entries = this.entries()
  }

  private readGiven(): void {
    const since = this.double()
    const cost = this.double()
    this.given = cost > 0 ? [since, cost] : NOTHING_GIVEN
  }

  private snapshot(limit: Algorithm, key: string): Snapshot {
    const snapshot = new Snapshot(key)
    snapshot.generation = this.double()
    snapshot.slice = this.double()
    snapshot.admitted = this.double()
    snapshot.refunded = this.double()
    snapshot.returned = this.double()
    snapshot.granted = this.double()
    snapshot.lateAdmitted = this.double()
    snapshot.lateRefunded = this.double()
    snapshot.lateReturned = this.double()
    snapshot.lateGranted = this.double()
    snapshot.demand = this.double()
    this.state(limit, snapshot)
    snapshot.elsewhere = this.booked
    snapshot.given = this.given
    snapshot.blockedUntil = this.blockedUntil
    if (limit.algorithm === 'sliding-log') snapshot.starts = this.list()
    return snapshot
  }

  private decisions(limit: Algorithm, now: number, take: AnyTake | undefined, payer?: number): Decision[] {
    const paid = this.at - 2
    if (take !== undefined && payer !== undefined) this.at += take.length - 2
    const { numbers } = this
    this.state(limit, numbers)
    const { booked, blockedUntil } = this
    const blockedFor = blockedUntil - now
    this.replayed ??= limit.create()
    const state = this.replayed
    limit.load(state, numbers)
    if (booked > 0) limit.settle(state, now, 0, booked)
    if (booked > 0 && take !== undefined) this.bookedOf = (this.bookedOf ?? new Map()).set(take[1], booked)
    if (this.given !== NOTHING_GIVEN && take !== undefined)
      this.givenOf = (this.givenOf ?? new Map()).set(take[1], this.given)
    const consume = take !== undefined && blockedFor <= 0
    const count = take === undefined ? 1 : take.length - 2
    // An array that grows takes room for seventeen.
    const decisions = new Array<Decision>(count)
    for (let turn = 0; turn < count; turn++) {
      const cost = take === undefined ? 1 : (take[turn + 2] as number)
      const takes = consume && (payer === undefined || this.bytes[paid + turn + 2] === payer)
      const decision = withoutBooked(limit.take(state, now, cost, 'store', takes), booked)
      decisions[turn] =
        blockedFor > 0 ? blockedDecision(decision, blockedFor, resetAfterOf(limit, state, now)) : decision
    }
    return decisions
  }
}
