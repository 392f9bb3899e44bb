import { hashOf } from '../local/key-table.ts'

const SMALLEST = 128

/**
 * Finds keys in a list that is filled, sent and begun anew all the time: nothing is made anew for the next one, where a
 * `Map` would grow from nothing once more. Each slot holds the number of the list and a place in it, or what is of an
 * earlier list and counts as free; a key is in the slot that its hash ends with, or in the next free one.
 */
export class KeyPlaces {
  private slots = new Int32Array(2 * SMALLEST)
  private list = 1

  /** @param lists so many have a number of their own; then it begins again */
  constructor(private readonly lists = 2 ** 31 - 1) {}

  /** The next list begins, empty. */
  begin(): void {
    if (this.list === this.lists) {
      this.slots.fill(0)
      this.list = 0
    }
    this.list++
  }

  /** The place of the key in the list; -1 where it is not there: from here on it is that behind the last one. */
  placeOf(key: string, list: readonly { readonly key: string }[]): number {
    if (4 * list.length >= this.slots.length) this.grow(list)
    const { slots } = this
    const last = slots.length - 1
    let at = (hashOf(key) << 1) & last
    while (slots[at] === this.list) {
      const place = slots[at + 1] as number
      if ((list[place] as { key: string }).key === key) return place
      at = (at + 2) & last
    }
    slots[at] = this.list
    slots[at + 1] = list.length
    return -1
  }

  private grow(list: readonly { readonly key: string }[]): void {
    this.slots = new Int32Array(2 * this.slots.length)
    const last = this.slots.length - 1
    for (let place = 0; place < list.length; place++) {
      let at = (hashOf((list[place] as { key: string }).key) << 1) & last
      while (this.slots[at] === this.list) at = (at + 2) & last
      this.slots[at] = this.list
      this.slots[at + 1] = place
    }
  }
}
