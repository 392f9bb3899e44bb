import { CELLS, type Cells } from '../algorithms/cells.ts'

/** What has a row: in the segment `row`, at `at`. */
export interface Held {
  row: Segment<this>
  at: number
}

/** No row: the only number below 0. */
export const NONE = -1

/** The longest that a growing list gets: too short for its growth to be noticed. */
export const SEGMENT = 4096
const SMALLEST = 16

/** Where in its segment the row of that number is. */
export function placeOf(row: number): number {
  return row & 4095
}

// A row is two integers, then numbers of any kind: the slice, and the state's. Offsets are written as literals: a check
// reads most of them, and V8 compiles only so much code into a check.
const ROW = 2 + CELLS

/** Rows that lie together. All that a check of a held key looks at is in one row. */
export class Segment<K> {
  readonly names: string[] = []
  readonly keys: (K | undefined)[] = []
  private integers: Int32Array
  private numbers: Float64Array
  /** One for each segment: giving it another array costs more than moving within one. */
  private readonly cells: Cells | undefined

  constructor(
    size: number,
    private readonly makeCells: () => Cells | undefined,
    /** The number of its first row. */
    readonly first: number,
  ) {
    this.numbers = new Float64Array(size * ROW)
    this.integers = new Int32Array(this.numbers.buffer)
    this.cells = makeCells()
    this.cells?.lieIn(this.numbers)
  }

  get size(): number {
    return this.numbers.length / ROW
  }

  /** The number of the row at that place. */
  row(at: number): number {
    return this.first + at
  }

  /** Doubles the rows. */
  grow(): void {
    const numbers = new Float64Array(2 * this.numbers.length)
    numbers.set(this.numbers)
    this.numbers = numbers
    this.integers = new Int32Array(numbers.buffer)
    this.cells?.lieIn(numbers)
  }

  /** A copy of the row in a segment of its own, so that no other key gets it. */
  alone(at: number): Segment<K> {
    const alone = new Segment<K>(1, this.makeCells, NONE)
    alone.numbers.set(this.numbers.subarray(at * ROW, (at + 1) * ROW))
    alone.names.push(this.names[at] as string)
    return alone
  }

  clear(at: number): void {
    this.setReady(at, 0)
    this.setFlags(at, 0)
    // Not 0, which may be a slice: a clock may begin there.
    this.setSlice(at, NONE)
    this.state(at)?.clear()
  }

  /** Cost that checks may take by the row alone: nothing else is looked at, or noted. */
  ready(at: number): number {
    return this.integers[10 * at] as number
  }

  setReady(at: number, cost: number): void {
    this.integers[10 * at] = cost
  }

  /** The key's flags; the key itself defines the bits. */
  flags(at: number): number {
    return this.integers[10 * at + 1] as number
  }

  setFlags(at: number, flags: number): void {
    this.integers[10 * at + 1] = flags
  }

  /** In a free row, the number of the next free one. */
  nextFree(at: number): number {
    return this.integers[10 * at] as number
  }

  setNextFree(at: number, row: number): void {
    this.integers[10 * at] = row
  }

  slice(at: number): number {
    return this.numbers[5 * at + 1] as number
  }

  setSlice(at: number, slice: number): void {
    this.numbers[5 * at + 1] = slice
  }

  /** Valid until another row's is asked for; undefined if keys have their state elsewhere. */
  state(at: number): Cells | undefined {
    return this.cells?.moveTo(5 * at + 2)
  }
}

/** The rows of a limiter's keys, by their numbers. */
export class Rows<K extends Held> {
  size = 0
  private readonly segments: Segment<K>[] = []
  /** The first of the rows that were given back. */
  private free = NONE
  private made = 0

  /** @param makeCells makes the cells for a segment's states; none: these lie elsewhere */
  constructor(private readonly makeCells: () => Cells | undefined) {}

  /** The segment of the row of that number. */
  segment(row: number): Segment<K> {
    return this.segments[row >>> 12] as Segment<K>
  }

  name(row: number): string {
    return this.segment(row).names[placeOf(row)] as string
  }

  key(row: number): K {
    return this.segment(row).keys[placeOf(row)] as K
  }

  /** Gives the key a row. */
  add(key: K, name: string): void {
    const row = this.take()
    const at = placeOf(row)
    const segment = this.segment(row)
    segment.names[at] = name
    segment.keys[at] = key
    segment.clear(at)
    key.row = segment
    key.at = at
    this.size++
  }

  private take(): number {
    const row = this.free
    if (row !== NONE) {
      this.free = this.segment(row).nextFree(placeOf(row))
      return row
    }
    const last = this.segments.at(-1)
    if (last === undefined || this.made === last.first + SEGMENT)
      this.segments.push(new Segment(last === undefined ? SMALLEST : SEGMENT, this.makeCells, this.made))
    else if (this.made === last.first + last.size) last.grow()
    return this.made++
  }

  /** Takes the key's row away; whoever still has the key finds it as it was. */
  delete(key: K): void {
    const { row, at } = key
    key.row = row.alone(at)
    key.at = 0
    row.names[at] = ''
    row.keys[at] = undefined
    row.setNextFree(at, this.free)
    this.free = row.row(at)
    this.size--
  }

  /** The keys whose flags pass `are`; the others are not looked at. */
  *those(are: (flags: number) => boolean): Iterable<K> {
    for (const segment of this.segments) {
      const { keys } = segment
      for (let at = 0; at < keys.length; at++) {
        const key = are(segment.flags(at)) ? keys[at] : undefined
        if (key !== undefined) yield key
      }
    }
  }

  *[Symbol.iterator](): Iterator<K> {
    for (const { keys } of this.segments) for (const key of keys) if (key !== undefined) yield key
  }
}
