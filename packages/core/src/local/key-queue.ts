import type { LocalKey } from './local-key.ts'

/** Numbers that a queue can have; a later one has the number of an earlier one that is long empty. */
const NUMBERS = 15

/**
 * Keys that are to be sent, in their order. A key is in one queue at most, and knows in which: so that one that is
 * taken out, or put into another one, need not be looked for here.
 */
export class KeyQueue {
  private entries: LocalKey[] = []
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
    return this.entries.length - this.at
  }

  add(key: LocalKey): void {
    key.queueNumber = this.number
    this.entries.push(key)
  }

  /** The next key, taken out; undefined where there is none. */
  next(): LocalKey | undefined {
    while (this.at < this.entries.length) {
      const key = this.entries[this.at++] as LocalKey
      if (key.queueNumber !== this.number) continue
      key.queueNumber = 0
      return key
    }
    this.entries = []
    this.at = 0
    return undefined
  }
}
