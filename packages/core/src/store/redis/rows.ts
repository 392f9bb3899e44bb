import { wireKey } from '../../key.ts'
import type { Raise } from '../store.ts'

/** Bytes of a row in which only one node has settled: see `settlements.lua.ts`. */
export const BARE = 25
export const BRIEF = 41
export const SINGLE = 73

/** The byte behind the node's id in such a row. */
export const Kind = {
  brief: 0,
  single: 1,
  /** Laid out as `single`, in answers: several nodes have settled. */
  shared: 2,
  bare: 3,
  /** Laid out as `brief`, in answers: several nodes have settled. */
  sharedBrief: 4,
} as const

/** The kind of a row of these numbers; `late` and `previous` are mostly 0. */
function kindOf(count: number, previous: number, admitted: number, late: number, demand: number): number {
  if (late > 0 || previous > 0) return Kind.single
  return admitted === count && demand === 0 ? Kind.bare : Kind.brief
}

/** Bytes per UTF-16 unit of a key, at most: a lone surrogate becomes U+FFFF and four digits. */
const MOST_BYTES = 7

/** Keys up to this length are copied faster here than by a `Buffer`. */
const SHORT = 40

/** Bytes of a count or a length. */
const COUNT = 2

/**
 * Rows that a node composes itself, since it knows what they are: the script only checks that they are still so. Many
 * keys have the same row, which travels once for keys near each other. The first buffer has for each key the number of
 * the row to be written, that of the row as it was seen, the key's length, and the key. The second has the number of
 * rows, the length of each (0 if each has its length before it), and the rows.
 */
export class RaisedRows {
  readonly raises: Raise[] = []
  private room = 0
  private areBare = true

  get count(): number {
    return this.raises.length
  }

  add(raise: Raise): void {
    this.raises.push(raise)
    const [, key, , admitted, late, demand, count, previous, had] = raise
    this.room += MOST_BYTES * key.length
    // A row is bare when it is written exactly if it was bare when it was seen.
    this.areBare &&= kindOf(count + admitted - had, previous, admitted, late, demand) === Kind.bare
  }

  /** @param node its id, 16 hex digits; `window` in ms */
  words(node: string, window: number): [keys: Buffer, rows: Buffer] {
    const { raises } = this
    const first = this.room + raises.length * 3 * COUNT
    const longest = this.areBare ? BARE : COUNT + SINGLE
    const bytes = Buffer.allocUnsafe(first + 2 * COUNT + raises.length * 2 * longest)
    const rows = new RowWriter(bytes, first, node, window, this.areBare)
    let at = 0
    for (const [, key, slice, admitted, late, demand, count, previous, had, before] of raises) {
      rows.number(at, rows.row(slice, count + admitted - had, previous, admitted, late, demand))
      rows.number(at + COUNT, rows.row(slice, count, previous, had, late, before))
      at = rows.key(at + 2 * COUNT, key)
    }
    return [bytes.subarray(0, at), bytes.subarray(first, rows.end())]
  }
}

/** How many bare rows are remembered, by the last bits of their counts. */
const REMEMBERED = 256

class RowWriter {
  /** Writes doubles in a third of the time that a Buffer takes. */
  private readonly view: DataView
  private readonly high: number
  private readonly low: number
  /** The counts of bare rows, which tell those of one slice apart, and the rows' numbers; 0: none yet. */
  private readonly counts = new Float64Array(REMEMBERED)
  private readonly numbers = new Uint16Array(REMEMBERED)
  private written = 0
  private at: number
  /** Bytes before each row, for its length. */
  private readonly lengths: number

  /** @param first where the rows begin */
  constructor(
    private readonly bytes: Buffer,
    private readonly first: number,
    node: string,
    private readonly window: number,
    private readonly areBare: boolean,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.high = Number.parseInt(node.slice(0, 8), 16)
    this.low = Number.parseInt(node.slice(8), 16)
    this.at = first + 2 * COUNT
    this.lengths = areBare ? 0 : COUNT
  }

  number(at: number, number: number): void {
    this.view.setUint16(at, number)
  }

  /** Returns where it ends. */
  key(at: number, key: string): number {
    const end = this.ascii(at + COUNT, key) ?? at + COUNT + this.bytes.write(wireKey(key), at + COUNT)
    this.number(at, end - at - COUNT)
    return end
  }

  private ascii(at: number, key: string): number | undefined {
    const { length } = key
    if (length > SHORT) return undefined
    for (let place = 0; place < length; place++) {
      const unit = key.charCodeAt(place)
      if (unit > 127) return undefined
      this.bytes[at + place] = unit
    }
    return at + length
  }

  /** Returns the row's number. All are of one slice. */
  row(
    slice: number,
    count: number,
    previous: number,
    admitted: number,
    late: number,
    demand: number,
  ): number {
    const kind = kindOf(count, previous, admitted, late, demand)
    if (kind !== Kind.bare) {
      this.open(slice, count, kind)
      this.rest(slice, previous, admitted, late, demand, kind)
      return this.written
    }
    const place = count & (REMEMBERED - 1)
    if (this.numbers[place] === 0 || this.counts[place] !== count) {
      this.open(slice, count, kind)
      this.close(BARE)
      this.counts[place] = count
      this.numbers[place] = this.written
    }
    return this.numbers[place] as number
  }

  private open(slice: number, count: number, kind: number): void {
    const { view } = this
    const at = this.at + this.lengths
    view.setFloat64(at, (slice + 1) * this.window)
    view.setFloat64(at + 8, count)
    view.setUint32(at + 16, this.high)
    view.setUint32(at + 20, this.low)
    view.setUint8(at + 24, kind)
  }

  private rest(
    slice: number,
    previous: number,
    admitted: number,
    late: number,
    demand: number,
    kind: number,
  ): void {
    const { view } = this
    const at = this.at + this.lengths
    view.setFloat64(at + 25, admitted)
    view.setFloat64(at + 33, demand)
    if (kind === Kind.brief) {
      this.close(BRIEF)
      return
    }
    view.setFloat64(at + 41, late)
    view.setFloat64(at + 49, previous)
    view.setFloat64(at + 57, 0)
    view.setFloat64(at + 65, slice)
    this.close(SINGLE)
  }

  private close(length: number): void {
    if (this.lengths > 0) this.number(this.at, length)
    this.at += this.lengths + length
    this.written++
  }

  /** Writes the header; returns where the last row ends. */
  end(): number {
    this.number(this.first, this.written)
    this.number(this.first + COUNT, this.areBare ? BARE : 0)
    return this.at
  }
}
