import { randomInt } from 'node:crypto'
import { type Held, NONE, placeOf, type Rows, SEGMENT, type Segment, segmentOf } from './rows.ts'

/** So many are looked at for one that may go. */
const MOST_LOOKS = 256
const FEWEST_BUCKETS = 16

/** Secrets of the process: who chooses keys must not be able to choose such as share a bucket. */
const START = randomInt(2 ** 32) | 0
const FACTOR = randomInt(2 ** 32) | 1

/**
 * `key.charCodeAt(at)`, not looked up on the key: V8 has some ten kinds of strings, and where it has met more than four of
 * them it looks the method up anew for each character.
 */
const codeAt: (key: string, at: number) => number = Function.prototype.call.bind(String.prototype.charCodeAt)

/** A small integer, not below 0. */
export function hashOf(key: string): number {
  let hash = START
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ codeAt(key, at), FACTOR)
    hash ^= hash >>> 15
  }
  return hash >>> 2
}

function buckets(many: number): Int32Array {
  return new Int32Array(many).fill(NONE)
}

/**
 * Rows by their keys' names, `max` at the most: for another one, one goes that was not asked for lately. By linear
 * hashing: the table grows by a bucket a key, so that no check waits for all of it to be built anew, as in a `Map`.
 */
export class KeyTable<K extends Held> {
  size = 0
  /** Of each bucket, the first row in its chain. */
  private readonly heads = [buckets(FEWEST_BUCKETS)]
  /** How many buckets there are; a power of two, and the next one, between which they are. */
  private buckets = 1
  private round = 1
  /** The bucket that is looked at next for one that may go. */
  private hand = 0

  /** @param evicted is told of one that had to go */
  constructor(
    private readonly rows: Rows<K>,
    private readonly max: number,
    private readonly evicted: (key: K) => void,
  ) {}

  private bucketOf(hash: number): number {
    const bucket = hash & (2 * this.round - 1)
    return bucket < this.buckets ? bucket : hash & (this.round - 1)
  }

  private first(bucket: number): number {
    return (this.heads[segmentOf(bucket)] as Int32Array)[placeOf(bucket)] as number
  }

  private setFirst(bucket: number, row: number): void {
    ;(this.heads[segmentOf(bucket)] as Int32Array)[placeOf(bucket)] = row
  }

  /** The number of the row of that name; `NONE` where there is none. */
  find(name: string, hash: number): number {
    let row = this.first(this.bucketOf(hash))
    while (row >= 0) {
      const segment = this.rows.segment(row)
      const at = placeOf(row)
      if (segment.hash(at) === hash && segment.names[at] === name) {
        segment.setUsed(at, true)
        return row
      }
      row = segment.next(at)
    }
    return NONE
  }

  /** Takes in a key that is in no table. Asked for no more, it goes before those that are. */
  add({ row, at }: K): void {
    if (this.size >= this.max) this.evict()
    else if (this.size >= this.buckets) this.split()
    row.setUsed(at, false)
    this.push(this.bucketOf(row.hash(at)), row, at)
    this.size++
  }

  private push(bucket: number, segment: Segment<K>, at: number): void {
    segment.setNext(at, this.first(bucket))
    this.setFirst(bucket, segment.row(at))
  }

  /** Returns whether it was there. */
  delete({ row, at }: K): boolean {
    const bucket = this.bucketOf(row.hash(at))
    const wanted = row.row(at)
    let before = NONE
    for (let row = this.first(bucket); row >= 0; row = this.next(row)) {
      if (row === wanted) {
        this.unlink(bucket, before, row)
        return true
      }
      before = row
    }
    return false
  }

  private next(row: number): number {
    return this.rows.segment(row).next(placeOf(row))
  }

  private unlink(bucket: number, before: number, row: number): void {
    if (before < 0) this.setFirst(bucket, this.next(row))
    else this.rows.segment(before).setNext(placeOf(before), this.next(row))
    this.size--
  }

  /** One bucket more: it takes from the one that it is the other half of. */
  private split(): void {
    const from = this.buckets - this.round
    const to = this.buckets++
    this.makeRoom(to)
    let row = this.first(from)
    this.setFirst(from, NONE)
    while (row >= 0) {
      const segment = this.rows.segment(row)
      const at = placeOf(row)
      const next = segment.next(at)
      this.push((segment.hash(at) & this.round) === 0 ? from : to, segment, at)
      row = next
    }
    if (this.buckets === 2 * this.round) this.round = this.buckets
  }

  private makeRoom(bucket: number): void {
    const [first] = this.heads as [Int32Array]
    if (bucket >= SEGMENT) {
      if (bucket % SEGMENT === 0) this.heads.push(buckets(SEGMENT))
    } else if (bucket === first.length) {
      const longer = buckets(2 * first.length)
      longer.set(first)
      this.heads[0] = longer
    }
  }

  /** The first that was not used since it was last looked at; of so many that all were, the last: they are in no order. */
  private evict(): void {
    for (let looks = 0; ; ) {
      const bucket = this.hand
      // Also past one that goes: those before it have just been looked at.
      this.hand = (bucket + 1) % this.buckets
      let before = NONE
      for (let row = this.first(bucket); row >= 0; row = this.next(row)) {
        const segment = this.rows.segment(row)
        const at = placeOf(row)
        if (!segment.used(at) || ++looks === MOST_LOOKS) {
          this.unlink(bucket, before, row)
          this.evicted(segment.keys[at] as K)
          return
        }
        segment.setUsed(at, false)
        before = row
      }
    }
  }
}
