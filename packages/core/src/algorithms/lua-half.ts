/** The Lua half of an algorithm, as parts of one script. */
export interface LuaHalf {
  /**
   * `late`, and what else takes need. Comes after `limit`, `window`, the parameters, `told` and the rest of the
   * opening.
   */
  readonly begins: string
  /** The functions `roll`, `usage`, `add`, `remove` and `ends`, as far as `begins` does not have them. */
  readonly functions: string
  /** What a quick take runs, without a function if it can. Undefined: there are no quick takes. */
  readonly take?: {
    /** Functions that it needs; they come before all else. */
    readonly opens: string
    /** How many slices back an admission still counts, as `lateSlices`. */
    readonly late: 0 | 1
    /** Lets time pass for a, b, c, d up to `now`, by `window`, and for a bucket by `drainsby` and `per`. */
    readonly roll: string
    /** Sets `used` to what is in use then. */
    readonly use: string
    /** Sets `finish` to the time from which the state is worth nothing. Undefined if that is never in this slice. */
    readonly ends?: string
  }
  /** What a batch of takes runs instead, if a key's state is not four numbers: for a log. */
  readonly batch?: {
    /** Runs before the first key. */
    readonly begins: string
    /**
     * Makes a key's `row` into a, b, c, d as of `now`; a is what is in use. Returns nil if the row is more than a log.
     */
    readonly reads: string
    /**
     * Answers into `rows[i]`, takes `total`, and begins a block that runs if d is to be written; may set `last`, the
     * last slice in which the row matters. `left` was left before; `largest` is the largest refused cost. Writes
     * nothing yet.
     */
    readonly adds: string
    /** Runs after what is to be written of a key, `packed`, was put into `fields` at `size`. */
    readonly filed: string
    /** Runs after the last key, before anything is written. */
    readonly ends: string
  }
}
