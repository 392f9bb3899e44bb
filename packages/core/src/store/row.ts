import { type Algorithm, isBucket, rateOf } from '../algorithms/algorithm.ts'
import { mulDivUp } from '../algorithms/arithmetic.ts'
import { type Ask, type Counters, type GivenBack, NOTHING_GIVEN } from './store.ts'

/** What a node has settled of a key in one slice: counters that only rise. */
export class Part {
  admitted = 0
  refunded = 0
  granted = 0
  returned = 0

  /** Whether it counts nothing but admitted cost. */
  get isPlain(): boolean {
    return this.refunded + this.granted + this.returned === 0
  }

  /** What is booked for the node and not known to be spent. */
  get booked(): number {
    return Math.max(0, this.granted - this.returned - this.admitted)
  }
}

const NOTHING: Part = Object.freeze(new Part())

/** A node's ledger for a key: the slice in which it last settled, and the one before. */
export class Cell {
  slice = 0
  current = new Part()
  late = NOTHING
  demand = 0

  constructor(readonly node: string) {}

  /** The part of the slice before, to be changed. */
  get ownLate(): Part {
    if (this.late === NOTHING) this.late = new Part()
    return this.late
  }

  /** The part of a slice. */
  part(slice: number): Part {
    if (slice === this.slice) return this.current
    return slice === this.slice - 1 ? this.late : NOTHING
  }

  /** Makes `slice` the current one. */
  roll(slice: number): void {
    if (slice <= this.slice) return
    this.late = slice === this.slice + 1 ? this.current : NOTHING
    this.current = new Part()
    this.slice = slice
  }
}

const NO_CELLS: readonly Cell[] = []

/** The limit that a key goes by: its bucket drains at that rate. For windows and logs all are alike. */
export interface Terms {
  readonly limit: Algorithm
  /** True: the limiter's own limit, which gives way to one that is set. False: a plan's. */
  readonly follows: boolean
}

/** The limit that was set last, and when. */
export interface SetLimit {
  readonly terms: Terms
  readonly since: number
}

function haveOneRate(one: Terms, other: Terms): boolean {
  return rateOf(one.limit) === rateOf(other.limit)
}

/** A bucket's history, kept while something taken from it before may still be given back. */
class Past {
  /** The total given back. */
  given = 0
  /** When its rate last changed, and the fastest rate it has had; 0: the rate has not changed. */
  changed = 0
  fastest = 0

  /**
   * @param since when this began
   * @param until by then all has drained that was in use at a refund, or at a change of rate by the slower one
   */
  constructor(
    readonly since: number,
    public until: number,
  ) {}
}

/** What a store keeps of a key. The Lua script keeps the same, packed. */
export class Row {
  generation = 0
  /** The slice whose file holds the row: the last one in which the row matters. */
  filed = 0
  /** The slice of the last settlement; 0: none. */
  settled = 0
  /** Booked and not known to be spent: in the settled slice, and in the one before. */
  booked = 0
  bookedLate = 0
  /** The sum of the nodes' demand. */
  demand = 0
  /** For a bucket. */
  private past: Past | undefined = undefined
  /** Most rows have a single cell, and a list takes less room than a `Map`. */
  private cells: readonly Cell[] = NO_CELLS

  constructor(
    private terms: Terms,
    readonly state: unknown,
  ) {}

  /** The total given back to a bucket. */
  get given(): GivenBack {
    const { past } = this
    return past === undefined || past.given === 0 ? NOTHING_GIVEN : [past.since, past.given]
  }

  /** Goes by these terms from here on. Returns whether that changes anything for a bucket. */
  goBy(terms: Terms, now: number): boolean {
    const before = this.terms
    if (terms === before) return false
    this.noteRate(terms, now)
    this.terms = terms
    return isBucket(terms.limit) && (terms.follows !== before.follows || !haveOneRate(terms, before))
  }

  /** Lets time pass up to `now`. Returns whether the row went over to the limit that was set. */
  pass(now: number, slice: number, set: SetLimit | undefined): boolean {
    const { terms } = this
    if (this.past !== undefined && now >= this.past.until) this.past = undefined
    this.roll(slice, set, now)
    this.drain(now, set, now)
    return this.terms !== terms
  }

  /**
   * Call before the rate changes. What was taken before is then given back as if it drained at the faster rate, for as
   * long as any of it could be left at the slower one. So is booked quota, which may be taken at either rate.
   */
  private noteRate({ limit }: Terms, now: number): void {
    const before = this.terms.limit
    if (rateOf(before) === rateOf(limit)) return
    const slower = rateOf(before) < rateOf(limit) ? before : limit
    const until = this.allDrainedAt(slower)
    if (this.past === undefined && until <= now) return
    const past = this.keep(now, until)
    past.changed = now
    past.fastest = Math.max(past.fastest, rateOf(before), rateOf(limit))
  }

  /** When all that is in use now will have drained, with what is booked, which may be taken within a window. */
  private allDrainedAt(limit: Algorithm): number {
    const [, window, rate, per] = limit.parameters as readonly [number, number, number, number]
    const { bookedInAll: booked } = this
    return limit.endsAt(this.state) + (booked > 0 ? window + mulDivUp(booked, per, rate) : 0)
  }

  private keep(now: number, until: number): Past {
    this.past ??= new Past(now, until)
    this.past.until = Math.max(this.past.until, until)
    return this.past
  }

  private drain(until: number, set: SetLimit | undefined, now: number): void {
    const { terms } = this
    if (set !== undefined && terms.follows && until >= set.since && !haveOneRate(terms, set.terms)) {
      terms.limit.usage(this.state, set.since)
      this.noteRate(set.terms, now)
      this.terms = set.terms
    }
    this.terms.limit.usage(this.state, until)
  }

  /** From this moment on the state is worth nothing. */
  private get drainedAt(): number {
    return this.terms.limit.endsAt(this.state)
  }

  /** Notes what is in use now. Returns from when on the row is worth nothing, apart from what nodes have settled. */
  noteUse(): number {
    const { past, drainedAt } = this
    if (past === undefined) return drainedAt
    // A take after a change of rate knows its rate.
    if (past.given > 0) past.until = Math.max(past.until, drainedAt)
    return Math.max(past.until, drainedAt)
  }

  /** The fastest rate that a bucket has had, if the rate has changed since `at`; otherwise 0. */
  fastestSince(at: number): number {
    const { past } = this
    return past !== undefined && at < past.changed ? past.fastest : 0
  }

  /** Gives cost back, as the algorithm does, and notes it for a bucket. */
  refund(
    limit: Algorithm,
    now: number,
    behind: number,
    cost: number,
    at?: number,
    beside?: number,
    rate = 0,
  ): void {
    const until = isBucket(limit) ? this.allDrainedAt(this.terms.limit) : 0
    const fastest = Math.max(rate, rateOf(limit), rateOf(this.terms.limit))
    const back = limit.refund(this.state, now, behind, cost, at, beside, fastest)
    if (back > 0 && isBucket(limit)) this.keep(now, until).given += back
  }

  /** Whether any node has settled: true also in slice 0, where a test's clock may begin. */
  get isSettled(): boolean {
    return this.settled > 0 || this.cells.length > 0
  }

  get bookedInAll(): number {
    return this.booked + this.bookedLate
  }

  /**
   * How much of what a log admitted in the slice before may have been booked ahead: that has left the log, and what is
   * there in its place came later. What is booked ahead expires within the current slice, so it was never admitted in
   * it.
   */
  bookedAhead({ bookAhead }: Algorithm, behind: number): number {
    return bookAhead === undefined || behind === 0 ? 0 : this.booked
  }

  /**
   * Makes `slice` the settled one. Quota booked in a slice can only be spent in that slice. It stays booked for one
   * slice more, in which the nodes tell what they spent, and then counts as spent.
   */
  private roll(slice: number, set: SetLimit | undefined, now: number): void {
    if (slice <= this.settled || (this.cells.length === 0 && this.bookedInAll === 0)) return
    const next = slice === this.settled + 1
    this.spend(this.bookedLate, this.settled + 1, set, now)
    this.bookedLate = 0
    if (!next) this.spend(this.booked, this.settled + 2, set, now)
    this.bookedLate = next ? this.booked : 0
    this.booked = 0
    this.settled = slice
    this.demand = 0
    this.cells = this.cells.filter((cell) => cell.slice >= slice - this.terms.limit.lateSlices)
    for (const cell of this.cells) this.demand += cell.demand
  }

  private spend(cost: number, slice: number, set: SetLimit | undefined, now: number): void {
    if (cost === 0) return
    const at = slice * this.terms.limit.window
    this.drain(at, set, now)
    this.terms.limit.settle(this.state, at, 2, cost)
  }

  /** What the node has settled, if anything. */
  cellOf(node: string): Cell | undefined {
    for (const cell of this.cells) if (cell.node === node) return cell
    return undefined
  }

  /** The node's cell, if nothing else is kept but the state, and the cell counts nothing but admitted cost. */
  aloneOf(node: string, slice: number): Cell | undefined {
    const [cell, another] = this.cells
    if (cell?.node !== node || cell.slice !== slice || another !== undefined) return undefined
    if (this.generation + this.bookedInAll > 0) return undefined
    return cell.current.isPlain && cell.late.isPlain ? cell : undefined
  }

  cell(node: string, slice: number): Cell {
    this.settled = Math.max(this.settled, slice)
    let cell = this.cellOf(node)
    if (cell === undefined) {
      cell = new Cell(node)
      this.cells = [...this.cells, cell]
    }
    cell.roll(slice)
    return cell
  }

  /**
   * Raises a node's counters and moves the totals by the difference. Returns what the node gave back.
   *
   * If the store has lost a log's entries, those sent may cost less than the counters rise. Then nothing is merged: the
   * node hears that less is settled than it admitted, and sends all its entries. Had some been merged, a repeat of them
   * would pass for the missing ones. Of a log, what has gone back again is left out, the oldest first: once an entry
   * has expired, its refund would take from others.
   */
  merge(
    cell: Cell,
    terms: Terms,
    now: number,
    behind: number,
    counters: Counters,
    entries?: readonly number[],
  ): number {
    const { limit } = terms
    if (behind < 0 || behind > limit.lateSlices) return 0
    const [admitted, refunded, granted, returned] = counters
    if (admitted + refunded + granted + returned === 0) return 0
    const part = behind === 0 ? cell.current : cell.ownLate
    const before = part.booked
    const isTold = entries === undefined || admitted - part.admitted <= costOf(entries)
    const more = isTold ? Math.max(0, admitted - part.admitted) : 0
    const back = isTold ? Math.max(0, refunded - part.refunded) : 0
    const gone = entries === undefined ? 0 : Math.min(more, back)
    part.admitted += more
    part.refunded += back
    part.granted = Math.max(part.granted, granted)
    part.returned = Math.max(part.returned, returned)
    const spent = part.booked - before
    if (behind === 0) this.booked += spent
    else this.bookedLate += spent
    if (more > gone) {
      limit.settle(this.state, now, behind, more - gone, entries)
      this.goBy(terms, now)
    }
    return back - gone
  }

  /**
   * Notes a node's demand, and books the quota it asks for, as far as there is room. If more is booked than the node
   * knows of, it is told that first, so that a repeated question books once. For a log, what expires soon may be booked
   * too: it is taken out of the log and counts as booked from now on. Not if more is in use than the limit, admitted by
   * another limit or charged: the node would see no room, and could not spend it.
   *
   * @returns from when on it may be spent, as `starts` of `Snapshot`
   */
  grant(cell: Cell, known: number, terms: Terms, now: number, ask: Ask, extra: number): number[] {
    const [demand, fraction, most, least, ahead = 0] = ask
    this.demand += demand - cell.demand
    cell.demand = demand
    if (most + least === 0) return []
    this.goBy(terms, now)
    if (cell.current.granted > known) return []
    const { limit } = terms.limit
    const usage = terms.limit.usage(this.state, now)
    const room = limit - usage - this.bookedInAll
    const { current } = cell
    const has = current.booked
    const share = Math.floor(fraction * Math.max(0, room + has))
    const target = Math.max(least, ahead > 0 ? share : Math.min(most, share))
    let more = Math.max(0, Math.min(target - has, room + extra, limit - usage - has))
    const starts = more > 0 ? [now, more] : []
    const left = most - has - more
    if (ahead > 0 && left > 0 && room >= 0) {
      const { window } = terms.limit
      const until = Math.min(now + ahead, (Math.floor(now / window) + 1) * window - 1)
      const soon = terms.limit.bookAhead?.(this.state, now, until, ahead / most, left) ?? []
      for (const number of soon) starts.push(number)
      more += costOf(soon)
    }
    if (more === 0) return starts
    current.granted = current.returned + current.admitted + has + more
    this.booked += more
    return starts
  }

  /**
   * Takes the place of a row that a node has reset. That node gave up what it knew to be `granted` in the slice. What
   * other nodes may yet spend, until they hear of the reset or the slice ends, stays booked.
   */
  follow(before: Row, now: number, slice: number, node: string, granted: number): void {
    this.terms = before.terms
    this.generation = Math.max(now, before.generation + 1)
    this.filed = before.filed
    this.settled = slice
    this.booked = before.booked
    this.bookedLate = before.bookedLate
    const cell = before.cellOf(node)
    if (cell === undefined) return
    const own = cell.part(slice)
    this.booked -= Math.max(0, own.booked - Math.max(0, own.granted - granted))
    this.bookedLate -= cell.part(slice - 1).booked
  }

  /** What is booked for nodes other than this one. */
  bookedElsewhere(node: string, slice: number): number {
    const cell = this.cellOf(node)
    return this.bookedInAll - (cell === undefined ? 0 : cell.part(slice).booked + cell.part(slice - 1).booked)
  }
}

/** The sum of a list of times and costs. */
export function costOf(entries: readonly number[]): number {
  let cost = 0
  for (let place = 1; place < entries.length; place += 2) cost += entries[place] as number
  return cost
}
