import type { Decision, DecisionSource } from '../decision.ts'
import { ConfigError, show } from '../errors.ts'
import { checkOptionNames, holdsOptions } from '../option-names.ts'
import { LARGEST_COUNT } from './arithmetic.ts'
import type { Cells } from './cells.ts'

/** The five algorithms, by their folder's name. */
export type AlgorithmName =
  | 'fixed-window'
  | 'sliding-window'
  | 'sliding-log'
  | 'token-bucket'
  | 'leaky-bucket'

/** How much is allowed: an algorithm with its numbers. Made by `fixedWindow(…)` and its like. */
export interface Limit {
  readonly algorithm: AlgorithmName
  /** The most that can be admitted at once: the limit of a window, the capacity of a bucket. */
  readonly limit: number
  /** Milliseconds: the window, or the time a full bucket takes to drain. */
  readonly window: number
}

/** A log that is written down carries at most this many entries; neighbours are merged at the later one's time. */
export const MOST_ENTRIES = 256

/**
 * The state of a key in four numbers, as it travels and as Redis keeps it; each algorithm gives them its own meaning. A
 * sliding log adds its entries, as time, cost, time, cost….
 */
export class Numbers {
  a = 0
  b = 0
  c = 0
  d = 0
  entries: number[] | undefined = undefined
}

/**
 * The TypeScript half of an algorithm. Its state is a plain mutable object; times are the store's, in whole
 * milliseconds since the Unix epoch; costs are positive integers. A time before the latest seen counts as the latest: a
 * key's window never goes back.
 *
 * `take` tests, then consumes. `settle` records what a node has already admitted, also past the limit.
 */
export interface Algorithm<S = unknown> extends Limit {
  /** How many slices (of `window` ms) back an admission still counts: 0 or 1. */
  readonly lateSlices: 0 | 1
  /** What the Lua half needs to know. */
  readonly parameters: readonly number[]
  /** The state of a key never seen. */
  create(): S
  /** A state that can be moved over lists of numbers; undefined if a state is more than a few numbers. */
  cells(): (S & Cells) | undefined
  /** Admits the cost if the limit allows it; a refused one takes nothing. With `consume` false, nothing is taken either way. */
  take(state: S, now: number, cost: number, source: DecisionSource, consume: boolean): Decision
  /**
   * Records a cost admitted elsewhere, in this slice or `behind` slices before (2 matters only to a bucket). Only a log
   * has `entries`.
   */
  settle(state: S, now: number, behind: number, cost: number, entries?: readonly number[]): void
  /**
   * Gives cost back, clamped at zero usage; returns how much that was. With `at`, the cost was taken then for nothing,
   * and no more than what still counts of it goes back. At least `beside` was in use beside it, and a bucket has
   * drained at most at this `rate` since then.
   */
  refund(
    state: S,
    now: number,
    behind: number,
    cost: number,
    at?: number,
    beside?: number,
    rate?: number,
  ): number
  /** What is in use, as the design defines usage, rounded up. */
  usage(state: S, now: number): number
  /**
   * Only for a log: takes out up to `cost` of what expires after `now` and up to `until`, at most one each `gap`
   * milliseconds. Returns when each part expires, and how much it is: time, cost, time, cost….
   */
  bookAhead?(state: S, now: number, until: number, gap: number, cost: number): number[]
  /** How much cost becomes free per millisecond, on average until `cost` is free. */
  flow(state: S, now: number, cost: number): number
  /** The moment from which the state is worth nothing. */
  endsAt(state: S): number
  /** Writes the state down. */
  save(state: S, numbers: Numbers): void
  /** Overwrites the state with one that was written down. */
  load(state: S, numbers: Numbers): void
  /** The share of one of `nodes` nodes that can't ask each other. */
  share(nodes: number): Algorithm<S>
  /** The same algorithm with other numbers, as its `parameters`. */
  with(parameters: readonly number[]): Algorithm<S>
}

/** Whether the limit drains all the time, so that no window's end frees everything. */
export function isBucket({ algorithm }: Limit): boolean {
  return algorithm === 'token-bucket' || algorithm === 'leaky-bucket'
}

/** How much of a bucket drains in its `per`; 0 for other limits. */
export function rateOf({ parameters }: Algorithm): number {
  return parameters[2] ?? 0
}

/** Milliseconds until the full quota is back, if nothing more is taken: as a refusal tells it. */
export function resetAfterOf(its: Algorithm, state: unknown, now: number): number {
  return its.take(state, now, its.limit + 1, 'local', false).resetAfterMs
}

/** Whether it is a fixed or a sliding window: of one or two counts. */
export function isWindow({ algorithm }: Limit): boolean {
  return algorithm === 'fixed-window' || algorithm === 'sliding-window'
}

/** @throws ConfigError `ERR_LIMIT` if the count is not an integer from 1 to 2^31 − 1 */
export function checkCount(count: unknown, what: string): asserts count is number {
  if (Number.isInteger(count) && (count as number) >= 1 && (count as number) <= LARGEST_COUNT) return
  throw new ConfigError('ERR_LIMIT', `${what} is ${show(count)}: give an integer from 1 to ${LARGEST_COUNT}`)
}

/**
 * @param names of the options
 * @param call an example of how it is written
 * @throws ConfigError `ERR_LIMIT` if a limit was called without an options object, or with an unknown option
 */
export function checkNumbers(numbers: unknown, names: readonly string[], call: string): void {
  const limit = call.slice(0, call.indexOf('('))
  if (!holdsOptions(numbers)) {
    throw new ConfigError('ERR_LIMIT', `${limit} was given ${show(numbers)}: write ${call}`)
  }
  checkOptionNames(numbers, limit, names, 'ERR_LIMIT')
}
