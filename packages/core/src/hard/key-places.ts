import { hashOf } from '../local/key-table.ts'

const SMALLEST = 128

/**
 * Finds keys in a list that is filled, sent and begun anew all the time. The next list uses the same slots, where a
 * `Map` would grow from nothing once more. Each slot holds the number of a list and a place in it; one of an earlier
 * list counts as free. A key is in the slot that its hash ends with, or in the next free one.
 */
export class KeyPlaces {
  private slots = new Int32Array(2 * SMALLEST)
  private list = 1

  /** @param lists how many have a number of their own before numbers begin again */
  constructor(private readonly lists = 2 ** 31 - 1) {}

  /** Begins the next list, empty. */
  begin(): void {
    if (this.list === this.lists) {
      this.slots.fill(0)
      this.list = 0
    }
    this.list++
  }

  /** The place of the key in the list; -1 if it is new: from here on its place is the one behind the last. */
  placeOf(key: string, list: readonly { readonly key: string }[]): number {
    if (4 * list.length >= this.slots.length) this.grow(list)
    const at = this.slotOf(key, list)
    if (this.slots[at] === this.list) return this.slots[at + 1] as number
    this.put(at, list.length)
    return -1
  }

  /** Where the key is, or would be. */
  private slotOf(key: string, list: readonly { readonly key: string }[]): number {
    const { slots } = this
    const last = slots.length - 1
    let at = (hashOf(key) << 1) & last
    while (slots[at] === this.list && (list[slots[at + 1] as number] as { key: string }).key !== key)
      at = (at + 2) & last
    return at
  }

  private put(at: number, place: number): void {
    this.slots[at] = this.list
    this.slots[at + 1] = place
  }

  private grow(list: readonly { readonly key: string }[]): void {
    this.slots = new Int32Array(2 * this.slots.length)
    for (const [place, { key }] of list.entries()) this.put(this.slotOf(key, list), place)
  }
}
