/** How many numbers a state in cells has at most. */
export const CELLS = 3

const NONE = new Float64Array(CELLS)

/**
 * A state whose numbers lie in a list, among those of others: of a million keys an object each would be much of what
 * they take in RAM, and of what a check waits for. It is moved to the key that is looked at.
 */
export abstract class Cells {
  protected numbers: Float64Array = NONE
  protected at = 0

  /** From here on, it is the state that begins there in the list. */
  moveTo(numbers: Float64Array, at: number): this {
    this.numbers = numbers
    this.at = at
    return this
  }

  /** Makes it that of a key never seen. */
  abstract clear(): void
}
