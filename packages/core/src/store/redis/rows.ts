import { wireKey } from '../../key.ts'
import type { Raise } from '../store.ts'

/** How long a row is in which one node alone has settled: see `settlements.lua.ts`. */
export const BARE = 25
export const BRIEF = 41
export const SINGLE = 73

/** What stands behind the node's id in such a row. */
export const Kind = {
  brief: 0,
  single: 1,
  /** As a single one, in answers: several nodes have settled. */
  shared: 2,
  bare: 3,
} as const

/** That of what is in the row; `late` and `previous` are 0 in most. */
function kindOf(count: number, previous: number, admitted: number, late: number, demand: number): number {
  if (late > 0 || previous > 0) return Kind.single
  return admitted === count && demand === 0 ? Kind.bare : Kind.brief
}

/** Of a character of a key: a lone surrogate becomes U+FFFF and four digits. */
const MOST_BYTES = 7

/** Shorter keys are copied faster than they are handed over. */
const SHORT = 40

/**
 * Rows that a node writes itself, since it knows how they lie: the script has only to look whether they still do so. For
 * each key its length, itself, the row's length, and the row; and elsewhere, one after another, the rows as they lie.
 */
export class RaisedRows {
  readonly raises: Raise[] = []
  private room = 0

  get count(): number {
    return this.raises.length
  }

  add(raise: Raise): void {
    this.raises.push(raise)
    this.room += MOST_BYTES * raise[1].length
  }

  /** @param node its id, 16 hex digits; `window` in ms */
  words(node: string, window: number): [raised: Buffer, seen: Buffer] {
    const { raises } = this
    const first = this.room + raises.length * (4 + SINGLE)
    const bytes = Buffer.allocUnsafe(first + raises.length * SINGLE)
    const rows = new RowWriter(bytes, node, window)
    let at = 0
    let seenAt = first
    for (const [, key, slice, admitted, late, demand, count, previous, had, before] of raises) {
      at = rows.key(at, key)
      const start = at + 2
      at = rows.row(start, slice, count + admitted - had, previous, admitted, late, demand)
      bytes.writeUInt16BE(at - start, start - 2)
      seenAt = rows.row(seenAt, slice, count, previous, had, late, before)
    }
    return [bytes.subarray(0, at), bytes.subarray(first, seenAt)]
  }
}

class RowWriter {
  /** Writes doubles in a third of the time that a Buffer takes. */
  private readonly view: DataView
  private readonly high: number
  private readonly low: number

  constructor(
    private readonly bytes: Buffer,
    node: string,
    private readonly window: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.high = Number.parseInt(node.slice(0, 8), 16)
    this.low = Number.parseInt(node.slice(8), 16)
  }

  /** Returns where it ends, as the following do. */
  key(at: number, key: string): number {
    const end = this.ascii(at + 2, key) ?? at + 2 + this.bytes.write(wireKey(key), at + 2)
    this.view.setUint16(at, end - at - 2)
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

  row(
    at: number,
    slice: number,
    count: number,
    previous: number,
    admitted: number,
    late: number,
    demand: number,
  ): number {
    const { view } = this
    const kind = kindOf(count, previous, admitted, late, demand)
    view.setFloat64(at, (slice + 1) * this.window)
    view.setFloat64(at + 8, count)
    view.setUint32(at + 16, this.high)
    view.setUint32(at + 20, this.low)
    view.setUint8(at + 24, kind)
    if (kind === Kind.bare) return at + BARE
    view.setFloat64(at + 25, admitted)
    view.setFloat64(at + 33, demand)
    if (kind === Kind.brief) return at + BRIEF
    view.setFloat64(at + 41, late)
    view.setFloat64(at + 49, previous)
    view.setFloat64(at + 57, 0)
    view.setFloat64(at + 65, slice)
    return at + SINGLE
  }
}
