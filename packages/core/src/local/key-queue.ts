import type { LocalKey } from './local-key.ts'
import { SEGMENT } from './rows.ts'

/** Numbers that a queue can have; a later one has the number of an earlier one that is long empty. */
const NUMBERS = 15

/**
 * Keys that are to be sent, in their order. A key is in one queue at most, and knows in which: so that one that is
 * taken out, or put into another one, need not be looked for here.
 */
export class KeyQueue {
  /** There is always one; those before the last are full. */
  private segments: [LocalKey[], ...LocalKey[][]] = [[]]
  private last = this.segments[0]
  /** The next in the first segment. */
  private at = 0

  /** @param number from 1 to 15 */
  private constructor(private readonly number: number) {}

  static first(): KeyQueue {
    return new KeyQueue(1)
  }

  /** Another one, empty. */
  following(): KeyQueue {
    return new KeyQueue((this.number % NUMBERS) + 1)
  }

  /** How many keys are here at most. */
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

  /** The next key, taken out; undefined where there is none. */
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
