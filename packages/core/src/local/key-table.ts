import { type Held, NONE, type Rows } from './rows.ts'

/** The most keys looked at to find one to evict. */
const MOST_LOOKS = 256
const SMALLEST_PAGE = 16
/** In slots: dividing a full page holds the event loop for less than a tenth of a millisecond. */
const LARGEST_PAGE = 4096
/** A page is full when this fraction of its slots is taken. */
const FULL = 1 / 2
/** The most bits of a hash that tell pages apart; if those do not suffice, a page grows instead. */
const MOST_BITS = 16
const HASH_BITS = 30
const HASH = 2 ** HASH_BITS - 1
/** Asked for since the table last looked for a key to evict: a bit beside the hash. */
const USED = 2 ** HASH_BITS

/**
 * Secrets of the process: whoever chooses keys must not be able to choose ones that share a page. Drawn with the first
 * hash, since Cloudflare's workers give no random numbers while a module loads. The factor is odd, once drawn.
 */
let start = 0
let factor = 0

function secret(): number {
  return crypto.getRandomValues(new Int32Array(1))[0] as number
}

/**
 * `key.charCodeAt(at)`, without a lookup on the key: V8 has some ten kinds of strings, and once it has met more than
 * four of them, it looks the method up anew for each character.
 */
export const codeAt: (key: string, at: number) => number = Function.prototype.call.bind(
  String.prototype.charCodeAt,
)

/** An integer of 30 bits. */
export function hashOf(key: string): number {
  if (factor === 0) {
    start = secret()
    factor = secret() | 1
  }
  const by = factor
  let hash = start
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ codeAt(key, at), by)
    hash ^= hash >>> 15
  }
  return hash >>> 2
}

/**
 * Keys whose hashes begin alike. Each slot has a hash, and a row's number plus 1, or 0 if it is free. A key is in the
 * slot that its hash ends with, or in the next free one behind it; behind the last slot comes the first.
 */
class Page {
  size = 0
  readonly slots: Int32Array

  constructor(
    capacity: number,
    /** How many bits its hashes share at the start. */
    readonly bits: number,
  ) {
    this.slots = new Int32Array(2 * capacity)
  }

  get capacity(): number {
    return this.slots.length / 2
  }

  get isFull(): boolean {
    return this.size >= this.capacity * FULL
  }

  /** @param marked the hash, with `USED` or without */
  add(marked: number, row: number): void {
    const { slots } = this
    const last = slots.length - 1
    let at = (marked << 1) & last
    while (slots[at + 1] !== 0) at = (at + 2) & last
    slots[at] = marked
    slots[at + 1] = row + 1
    this.size++
  }

  /** Frees the slot; entries behind it that it displaced move up. */
  delete(at: number): void {
    const { slots } = this
    const last = slots.length - 1
    let free = at
    for (let next = (at + 2) & last; slots[next + 1] !== 0; next = (next + 2) & last) {
      const marked = slots[next] as number
      const wanted = (marked << 1) & last
      // An entry may not move to before the slot that it wants.
      if (((next - wanted) & last) < ((next - free) & last)) continue
      slots[free] = marked
      slots[free + 1] = slots[next + 1] as number
      free = next
    }
    slots[free + 1] = 0
    this.size--
  }

  /** Adds all entries to the pages that `into` gives for their marked hashes. */
  pour(into: (marked: number) => Page): void {
    const { slots } = this
    for (let at = 0; at < slots.length; at += 2) {
      const marked = slots[at] as number
      const row = (slots[at + 1] as number) - 1
      if (row >= 0) into(marked).add(marked, row)
    }
  }
}

/**
 * Rows by their keys' names, at most `max`: another key evicts one that was not asked for lately. By extendible
 * hashing: a full page is divided, so that no check waits for the whole table to be rebuilt, as in a `Map`.
 */
export class KeyTable<K extends Held> {
  size = 0
  /** By the first bits of a hash; a page that goes by fewer bits is listed several times. */
  private pages = [new Page(SMALLEST_PAGE, 0)]
  /** How many bits of a hash come after those. */
  private shift = HASH_BITS
  /** Where the search for a key to evict goes on. */
  private handPage = 0
  private handAt = 0

  /** @param evicted is called with each key that is evicted */
  constructor(
    private readonly rows: Rows<K>,
    private readonly max: number,
    private readonly evicted: (key: K) => void,
  ) {}

  /** The number of the row of that name, or `NONE`. */
  find(name: string, hash: number): number {
    const { slots } = this.pageOf(hash)
    const last = slots.length - 1
    for (let at = (hash << 1) & last; ; at = (at + 2) & last) {
      const row = (slots[at + 1] as number) - 1
      if (row < 0) return NONE
      const marked = slots[at] as number
      if ((marked & HASH) === hash && this.rows.name(row) === name) {
        if (marked === hash) slots[at] = marked | USED
        return row
      }
    }
  }

  private pageOf(hash: number): Page {
    return this.pages[hash >>> this.shift] as Page
  }

  /** Takes in a key that is in no table. Unless `isUsed`, or asked for again, it goes before those that are. */
  add({ row, at }: K, hash: number, isUsed = false): void {
    if (this.size >= this.max) this.evict()
    while (this.pageOf(hash).isFull) this.makeRoom(this.pageOf(hash), hash)
    this.pageOf(hash).add(isUsed ? hash | USED : hash, row.row(at))
    this.size++
  }

  /** Returns whether it was there. */
  delete({ row, at }: K, hash: number): boolean {
    const page = this.pageOf(hash)
    const { slots } = page
    const last = slots.length - 1
    const wanted = row.row(at) + 1
    for (let slot = (hash << 1) & last; slots[slot + 1] !== 0; slot = (slot + 2) & last) {
      if (slots[slot + 1] !== wanted) continue
      page.delete(slot)
      this.size--
      return true
    }
    return false
  }

  /** Replaces a full page by one of twice its size, or by two. */
  private makeRoom(page: Page, hash: number): void {
    const { capacity } = page
    if (capacity < LARGEST_PAGE || page.bits === MOST_BITS) {
      const larger = new Page(2 * capacity, page.bits)
      page.pour(() => larger)
      this.put(larger, hash)
      return
    }
    const bits = page.bits + 1
    if (bits > HASH_BITS - this.shift) this.double()
    const bit = 2 ** (HASH_BITS - bits)
    const one = new Page(capacity, bits)
    const other = new Page(capacity, bits)
    page.pour((marked) => ((marked & bit) === 0 ? one : other))
    this.put(one, hash & ~bit)
    this.put(other, hash | bit)
  }

  private double(): void {
    this.pages = this.pages.flatMap((page) => [page, page])
    this.shift--
    this.handPage *= 2
  }

  /** Lists the page for all hashes that begin as this one does, by as many bits as the page goes by. */
  private put(page: Page, hash: number): void {
    const places = this.places(page)
    const first = (hash >>> this.shift) & ~(places - 1)
    this.pages.fill(page, first, first + places)
  }

  /** How often the page is listed. */
  private places({ bits }: Page): number {
    return 2 ** (HASH_BITS - this.shift - bits)
  }

  /**
   * Evicts the first key that was not used since it was last looked at; of `MOST_LOOKS` that all were, the last: they
   * are in no order.
   */
  private evict(): void {
    for (let looks = 0; ; ) {
      const page = this.pages[this.handPage] as Page
      const { slots } = page
      for (; this.handAt < slots.length; this.handAt += 2) {
        const at = this.handAt
        const row = (slots[at + 1] as number) - 1
        if (row < 0) continue
        const marked = slots[at] as number
        if ((marked & USED) === 0 || ++looks === MOST_LOOKS) {
          page.delete(at)
          this.size--
          this.evicted(this.rows.key(row))
          return
        }
        slots[at] = marked & HASH
      }
      this.handAt = 0
      this.handPage = ((this.handPage | (this.places(page) - 1)) + 1) % this.pages.length
    }
  }
}
