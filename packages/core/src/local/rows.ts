import { CELLS, type Cells } from '../algorithms/cells.ts'

/** What has a row: the one beginning there in a segment. */
export interface Held {
  row: Segment<this>
  at: number
}

/** No row: below 0, as no other number is. */
export const NONE = -1

/** No list that grows is longer, nor so long that its growth would be noticed. */
export const SEGMENT = 4096
const SMALLEST = 16

/** Where the row of that number is in its segment. */
export function placeOf(row: number): number {
  return row & 4095
}

// A row is two integers, and then numbers of any kind: the slice, and the state's. Written as they are: a check looks at
// most of them, and what V8 makes of a check has room for so much code only.
const ROW = 2 + CELLS

/** Rows that lie together. What a check of a held key looks at is in one of them, and nowhere else. */
export class Segment<K> {
  readonly names: string[] = []
  readonly keys: (K | undefined)[] = []
  private integers: Int32Array
  private numbers: Float64Array
  /** In each segment its own: to change the list costs more than to move in it. */
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

  /** The number of the row there. */
  row(at: number): number {
    return this.first + at
  }

  /** Twice as many rows. */
  grow(): void {
    const numbers = new Float64Array(2 * this.numbers.length)
    numbers.set(this.numbers)
    this.numbers = numbers
    this.integers = new Int32Array(numbers.buffer)
    this.cells?.lieIn(numbers)
  }

  /** A row for itself: no other key comes to have it. */
  alone(at: number): Segment<K> {
    const alone = new Segment<K>(1, this.makeCells, NONE)
    alone.numbers.set(this.numbers.subarray(at * ROW, (at + 1) * ROW))
    alone.names.push(this.names[at] as string)
    return alone
  }

  clear(at: number): void {
    this.setReady(at, 0)
    this.setFlags(at, 0)
    // A clock may begin at 0.
    this.setSlice(at, NONE)
    this.state(at)?.clear()
  }

  /** Cost that checks may take with nothing else to be looked at, nor noted but here. */
  ready(at: number): number {
    return this.integers[10 * at] as number
  }

  setReady(at: number, cost: number): void {
    this.integers[10 * at] = cost
  }

  /** What is so of the key, bit by bit, as it says itself. */
  flags(at: number): number {
    return this.integers[10 * at + 1] as number
  }

  setFlags(at: number, flags: number): void {
    this.integers[10 * at + 1] = flags
  }

  /** Of a row that no key has, the number of the next such. */
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

  /** Until another row's is asked for; undefined where a key has its state elsewhere. */
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

  /** @param makeCells of what kind the keys' states are; none: they lie elsewhere */
  constructor(private readonly makeCells: () => Cells | undefined) {}

  /** In which the row of that number is. */
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

  /** Takes the key's row away: who still has the key finds it as it was. */
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

  /** The keys of which this is so by their flags; the others are not looked at. */
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
