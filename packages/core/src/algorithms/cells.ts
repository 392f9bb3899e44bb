/** How many numbers a state in cells has at most. */
export const CELLS = 3

const NONE = new Float64Array(CELLS)

/**
 * A state whose numbers lie in a list, among those of others: of a million keys an object each would be much of what
 * they take in RAM, and of what a check waits for. It is moved to the key that is looked at.
 */
export abstract class Cells {
  protected at = 0
  protected numbers: Float64Array = NONE

  /** The list in which the states lie. */
  lieIn(numbers: Float64Array): void {
    this.numbers = numbers
  }

  /** From here on, it is the state that begins there in the list. */
  moveTo(at: number): this {
    this.at = at
    return this
  }

  /** Makes it that of a key never seen. */
  abstract clear(): void
}
