import type { LocalKey } from './local-key.ts'
import { SEGMENT } from './rows.ts'

/** How many numbers queues have; a later one reuses that of an earlier one that has long been empty. */
const NUMBERS = 15

/**
 * Keys to be sent, in order. A key is in one queue at most, and knows which: if it is taken out, or put into another
 * one, it need not be looked for here.
 */
export class KeyQueue {
  /** Never without one; all but the last are full. */
  private segments: [LocalKey[], ...LocalKey[][]] = [[]]
  private last = this.segments[0]
  /** Where the next key is in the first segment. */
  private at = 0

  /** @param number from 1 to 15 */
  private constructor(private readonly number: number) {}

  static first(): KeyQueue {
    return new KeyQueue(1)
  }

  /** A new, empty queue, with the next number. */
  following(): KeyQueue {
    return new KeyQueue((this.number % NUMBERS) + 1)
  }

  /** The most keys that can be here. */
  get length(): number {
    return (this.segments.length - 1) * SEGMENT + this.last.length - this.at
  }

  add(key: LocalKey): void {
    key.queueNumber = this.number
    if (this.last.length === SEGMENT) {
      this.last = []
      this.segments.push(this.last)
    }
    this.last.push(key)
  }

  /** Takes out the next key; undefined if there is none. */
  next(): LocalKey | undefined {
    for (;;) {
      const key = this.segments[0][this.at++]
      if (key === undefined) {
        const isLast = this.segments.length === 1
        if (isLast) this.segments[0] = this.last = []
        else this.segments.shift()
        this.at = 0
        if (isLast) return undefined
      } else if (key.queueNumber === this.number) {
        key.queueNumber = 0
        return key
      }
    }
  }
}
