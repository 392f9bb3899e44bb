/** How many numbers a state in cells has at most. */
export const CELLS = 3

const NONE = new Float64Array(CELLS)

/**
 * A state whose numbers lie in a list, among those of other keys: for a million keys, objects would take much of the
 * RAM and of a check's time. It is moved to the key in question.
 */
export abstract class Cells {
  protected at = 0
  protected numbers: Float64Array = NONE

  /** Sets the list in which the states lie. */
  lieIn(numbers: Float64Array): void {
    this.numbers = numbers
  }

  /** Moves to the state that begins there in the list. */
  moveTo(at: number): this {
    this.at = at
    return this
  }

  /** Makes it the state of a key never seen. */
  abstract clear(): void
}
