/** The Lua half of an algorithm, as parts of one script. */
export interface LuaHalf {
  /** `late`, and what takes need besides; after `limit` and `window`, the parameters, `told`, and what the script has opened with. */
  readonly begins: string
  /** The functions `roll`, `usage`, `add`, `remove` and `ends`, as far as takes did not need them. */
  readonly functions: string
  /** What the short way for one take runs, without a function where it can. Not there: there is no short way. */
  readonly take?: {
    /** Functions that it needs, before all else. */
    readonly opens: string
    /** How many slices back an admission still counts, as `lateSlices`. */
    readonly late: 0 | 1
    /** Lets time pass for a, b, c, d up to `now`, by `window`, and of a bucket `drainsby` and `per`. */
    readonly roll: string
    /** Sets `used` to what is in use then. */
    readonly use: string
    /** Sets `finish` to the time from which the state is as good as none, where that may be in this slice. */
    readonly ends?: string
  }
  /** What many takes at once run instead of that, where what is kept of a key is no state of four numbers: a log. */
  readonly batch?: {
    /** Before the first key. */
    readonly begins: string
    /** From a key's `row` to a, b, c, d as they are `now`; a is what is in use. Returns nil where the row is more than a log. */
    readonly reads: string
    /**
     * Answers into `rows[i]`, takes `total`, and begins a block where d is to be written, setting the `last` slice in which it
     * is worth anything. There is `left` before it, and the `largest` cost is refused, if any. Writes nothing yet.
     */
    readonly adds: string
    /** After what is to be written of a key, `packed`, was put into `fields` at `size`. */
    readonly filed: string
    /** After the last key, before anything is written. */
    readonly ends: string
  }
}
