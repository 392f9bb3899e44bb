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

/** Of what is in segments, in which of them it is, by its number. */
export function segmentOf(number: number): number {
  return number >>> 12
}

/** Where it is there. */
export function placeOf(number: number): number {
  return number & 4095
}

// A row is four integers, and then numbers of any kind: the slice, and the state's. Written as they are: a check looks at
// most of them, and what V8 makes of a check has room for so much code only.
const ROW = 3 + CELLS

/** Rows that lie together. What a check of a held key looks at is in one of them, and nowhere else. */
export class Segment<K> {
  readonly names: string[] = []
  readonly keys: (K | undefined)[] = []
  private integers: Int32Array
  private numbers: Float64Array

  constructor(
    size: number,
    private readonly cells: Cells | undefined,
    /** The number of its first row. */
    readonly first: number,
  ) {
    const room = new ArrayBuffer(size * ROW * 8)
    this.integers = new Int32Array(room)
    this.numbers = new Float64Array(room)
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
  }

  /** A row for itself: no other key comes to have it. */
  alone(at: number): Segment<K> {
    const alone = new Segment<K>(1, this.cells, NONE)
    alone.numbers.set(this.numbers.subarray(at * ROW, (at + 1) * ROW))
    alone.names.push(this.names[at] as string)
    return alone
  }

  clear(at: number): void {
    this.setReady(at, 0)
    this.setUsed(at, false)
    // A clock may begin at 0.
    this.setSlice(at, NONE)
    this.state(at)?.clear()
  }

  /** Of the key, as its table says. */
  hash(at: number): number {
    return this.integers[12 * at] as number
  }

  setHash(at: number, hash: number): void {
    this.integers[12 * at] = hash
  }

  /** The number of the next row in its chain. */
  next(at: number): number {
    return this.integers[12 * at + 1] as number
  }

  setNext(at: number, row: number): void {
    this.integers[12 * at + 1] = row
  }

  /** Cost that checks may take with nothing else to be looked at, nor noted but here. */
  ready(at: number): number {
    return this.integers[12 * at + 2] as number
  }

  setReady(at: number, cost: number): void {
    this.integers[12 * at + 2] = cost
  }

  /** Asked for since its table last looked whether it could do without. */
  used(at: number): boolean {
    return this.integers[12 * at + 3] !== 0
  }

  setUsed(at: number, is: boolean): void {
    this.integers[12 * at + 3] = is ? 1 : 0
  }

  slice(at: number): number {
    return this.numbers[6 * at + 2] as number
  }

  setSlice(at: number, slice: number): void {
    this.numbers[6 * at + 2] = slice
  }

  /** Until another row's is asked for; undefined where a key has its state elsewhere. */
  state(at: number): Cells | undefined {
    return this.cells?.moveTo(this.numbers, 6 * at + 3)
  }
}

/** The rows of a limiter's keys, by their numbers. */
export class Rows<K extends Held> {
  size = 0
  private readonly segments: Segment<K>[] = []
  /** The first of the rows that were given back, a chain. */
  private free = NONE
  private made = 0

  constructor(private readonly cells: Cells | undefined) {}

  segment(row: number): Segment<K> {
    return this.segments[segmentOf(row)] as Segment<K>
  }

  /** Gives the key a row. */
  add(key: K, name: string, hash: number): void {
    const row = this.take()
    const at = placeOf(row)
    const segment = this.segment(row)
    segment.names[at] = name
    segment.keys[at] = key
    segment.setHash(at, hash)
    segment.clear(at)
    key.row = segment
    key.at = at
    this.size++
  }

  private take(): number {
    const row = this.free
    if (row !== NONE) {
      this.free = this.segment(row).next(placeOf(row))
      return row
    }
    const last = this.segments.at(-1)
    if (last === undefined || this.made === last.first + SEGMENT)
      this.segments.push(new Segment(last === undefined ? SMALLEST : SEGMENT, this.cells, this.made))
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
    row.setNext(at, this.free)
    this.free = row.row(at)
    this.size--
  }

  *[Symbol.iterator](): Iterator<K> {
    for (const { keys } of this.segments) for (const key of keys) if (key !== undefined) yield key
  }
}
