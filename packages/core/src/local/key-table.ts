import { randomInt } from 'node:crypto'

/** What is held in a table: it is a link in the chain of its bucket itself, which spares an object and a look into memory. */
export interface Held {
  readonly key: string
  /** Of the key, as the table says. */
  readonly hash: number
  /** The next in its bucket; the table's own. */
  next: Held | undefined
  /** Asked for since the table last looked whether it could do without. */
  used: boolean
}

/** No list that grows is longer than two to the power of this, nor so long that its growth would be noticed. */
const SEGMENT_BITS = 12
const SEGMENT = 2 ** SEGMENT_BITS
/** So many are looked at for one that may go. */
const MOST_LOOKS = 256

/** Secrets of the process: who chooses keys must not be able to choose such as share a bucket. */
const START = randomInt(2 ** 32) | 0
const FACTOR = randomInt(2 ** 32) | 1

/** A small integer, not below 0. */
export function hashOf(key: string): number {
  let hash = START
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), FACTOR)
    hash ^= hash >>> 15
  }
  return hash >>> 2
}

/**
 * Keys by their names, `max` at the most: for another one, one goes that was not asked for lately. By linear hashing:
 * the table grows by a bucket a key, so that no check waits for all of it to be built anew, as in a `Map`.
 */
export class KeyTable<K extends Held> {
  size = 0
  private readonly segments: (K | undefined)[][] = [[undefined]]
  /** How many buckets there are; a power of two, and the next one, between which they are. */
  private buckets = 1
  private round = 1
  /** The bucket that is looked at next for one that may go. */
  private hand = 0

  /** @param evicted is told of one that had to go */
  constructor(
    private readonly max: number,
    private readonly evicted: (key: K) => void,
  ) {}

  private bucketOf(hash: number): number {
    const bucket = hash & (2 * this.round - 1)
    return bucket < this.buckets ? bucket : hash & (this.round - 1)
  }

  private first(bucket: number): K | undefined {
    return (this.segments[bucket >>> SEGMENT_BITS] as (K | undefined)[])[bucket & (SEGMENT - 1)]
  }

  private setFirst(bucket: number, key: K | undefined): void {
    ;(this.segments[bucket >>> SEGMENT_BITS] as (K | undefined)[])[bucket & (SEGMENT - 1)] = key
  }

  get(name: string, hash: number): K | undefined {
    let key = this.first(this.bucketOf(hash))
    while (key !== undefined) {
      if (key.hash === hash && key.key === name) {
        if (!key.used) key.used = true
        return key
      }
      key = key.next as K | undefined
    }
    return undefined
  }

  /** Takes in a key that is in no table. Asked for no more, it goes before those that are. */
  add(key: K): void {
    if (this.size >= this.max) this.evict()
    else if (this.size >= this.buckets) this.split()
    const bucket = this.bucketOf(key.hash)
    key.next = this.first(bucket)
    key.used = false
    this.setFirst(bucket, key)
    this.size++
  }

  /** Returns whether it was there. */
  delete(key: K): boolean {
    const bucket = this.bucketOf(key.hash)
    let before: K | undefined
    for (let at = this.first(bucket); at !== undefined; at = at.next as K | undefined) {
      if (at === key) {
        this.unlink(bucket, before, key)
        return true
      }
      before = at
    }
    return false
  }

  private unlink(bucket: number, before: K | undefined, key: K): void {
    if (before === undefined) this.setFirst(bucket, key.next as K | undefined)
    else before.next = key.next
    key.next = undefined
    this.size--
  }

  /** One bucket more: it takes from the one that it is the other half of. */
  private split(): void {
    const from = this.buckets - this.round
    const to = this.buckets++
    if (to % SEGMENT === 0) this.segments.push([])
    ;(this.segments.at(-1) as (K | undefined)[]).push(undefined)
    let key = this.first(from)
    this.setFirst(from, undefined)
    while (key !== undefined) {
      const next = key.next as K | undefined
      const bucket = (key.hash & this.round) === 0 ? from : to
      key.next = this.first(bucket)
      this.setFirst(bucket, key)
      key = next
    }
    if (this.buckets === 2 * this.round) this.round = this.buckets
  }

  /** The first that was not used since it was last looked at; of so many that all were, the last: they are in no order. */
  private evict(): void {
    for (let looks = 0; ; ) {
      const bucket = this.hand
      // Also past one that goes: those before it have just been looked at.
      this.hand = (bucket + 1) % this.buckets
      let before: K | undefined
      for (let key = this.first(bucket); key !== undefined; key = key.next as K | undefined) {
        if (!key.used || ++looks === MOST_LOOKS) {
          this.unlink(bucket, before, key)
          this.evicted(key)
          return
        }
        key.used = false
        before = key
      }
    }
  }

  *values(): Generator<K> {
    for (const segment of this.segments) {
      for (const first of segment) {
        let key = first
        while (key !== undefined) {
          const next: K | undefined = key.next as K | undefined
          yield key
          key = next
        }
      }
    }
  }
}
