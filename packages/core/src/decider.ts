import type { Algorithm } from './algorithms/algorithm.ts'
import { mulDivUp } from './algorithms/arithmetic.ts'
import type { Stats } from './checks.ts'
import type { Decision } from './decision.ts'
import { type GivenBack, type InUse, NONE_IN_USE } from './store/store.ts'

/** What must be known of what one limit took, so that no more goes back than still counts. */
export interface Receipt {
  /** The earliest store time at which it was taken. */
  readonly at: number
  /** The marker of the store that it was taken of. */
  readonly marker: string
  /**
   * For a bucket: what was in use beside it, at least. Not what was only booked, which may have gone back since without
   * draining.
   */
  readonly others: InUse
  /** For RAM: what goes back there without the store. */
  readonly letGo?: LetGo
  /**
   * For RAM: the slice in which it was counted there, if known. If the clock was ahead, it is later than the slice of
   * `at`.
   */
  readonly slice?: number | undefined
}

/** How much held cost of a key had gone back in RAM alone, and when that was looked at, monotonic. */
export interface LetGo {
  readonly cost: number
  readonly at: number
}

/** How it stands with one limit. */
export type Standing = Pick<Decision, 'limit' | 'remaining' | 'resetAfterMs'>

/**
 * What the store said of a key, by what was heard at the time `heard`: how much of its use was booked, and what had
 * been given back.
 */
export interface Beside {
  readonly booked: number
  readonly given: GivenBack
  readonly heard: number
}

/**
 * The least that was in use of a bucket beside a cost that was allowed; what was only booked was not. Part of its last
 * unit may have drained: a unit that drains in no time is left out; otherwise the time until all has drained tells how
 * much of it has.
 */
export function othersIn(
  { limit, remaining, resetAfterMs }: Standing,
  cost: number,
  { booked, given, heard }: Beside,
  { limit: capacity, parameters }: Algorithm,
): InUse {
  const [, , rate = 0, per = 0] = parameters
  // For a window or a log it does not matter.
  if (rate === 0) return NONE_IN_USE
  const others = limit - remaining - cost - booked
  if (others <= 0) return [0, 0, ...given, rate, heard]
  // Also if another limit was set since.
  if (rate > per || limit !== capacity) return [others - 1, 0, ...given, rate, heard]
  const whole = mulDivUp(limit - remaining, per, rate)
  return [others, Math.max(0, whole - resetAfterMs + 1), ...given, rate, heard]
}

/** What was taken some time ago: time has freed some of it since. */
export interface Earlier {
  /** Monotonic time, no later than when it was taken. */
  readonly at: number
  /** How much was taken. */
  readonly cost: number
  /** One for each limit. */
  readonly receipts: readonly (Receipt | undefined)[]
  /** As the decision said then. */
  readonly resetAfterMs: number
  /** For each limit, if there are several. */
  readonly parts?: readonly { readonly resetAfterMs: number }[] | undefined
}

/** A decision, and for each limit the receipt by which it can be given back. */
export interface Taken {
  readonly decision: Decision
  readonly receipts: readonly (Receipt | undefined)[]
}

/** What a limiter asks: one limit, or several. A refused check takes nothing. */
export interface Decider<K> {
  /** @throws ConfigError `ERR_KEY` */
  checkKey(key: unknown): asserts key is K
  /** At once if nobody has to be asked. */
  check(key: K, cost: number): Decision | Promise<Decision>
  /** As `check`, with what is needed to give it back. */
  take(key: K, cost: number): Promise<Taken>
  /** Soft and leased. */
  checkSync(key: K, cost: number): Decision
  peek(key: K): Promise<Decision>
  /**
   * Gives back cost of the current window or bucket; with `earlier`, of what was taken then, and no more than still
   * counts.
   *
   * @throws StoreError if the store does not acknowledge it, as all methods below
   */
  refund(key: K, cost: number, earlier?: Earlier): Promise<void>
  charge(key: K, cost: number): Promise<void>
  block(key: K, ms: number): Promise<void>
  reset(key: K): Promise<void>
  flush(): Promise<void>
  close(): Promise<void>
  stats(): DeciderStats
}

export type DeciderStats = Omit<Stats, 'checks' | 'admitted' | 'denied'>

const NOTHING: DeciderStats = {
  pending: 0,
  keys: 0,
  storeCalls: 0,
  storeEntries: 0,
  syncLagMs: 0,
  degraded: false,
  expired: 0,
  uncertain: 0,
  evictedInWindow: 0,
  estimatedOvershoot: 0,
}

/** The sum of several deciders' stats. */
export function sumOf(all: readonly DeciderStats[]): DeciderStats {
  return all.reduce(
    (one, two) => ({
      pending: one.pending + two.pending,
      keys: one.keys + two.keys,
      storeCalls: one.storeCalls + two.storeCalls,
      storeEntries: one.storeEntries + two.storeEntries,
      syncLagMs: Math.max(one.syncLagMs, two.syncLagMs),
      degraded: one.degraded || two.degraded,
      expired: one.expired + two.expired,
      uncertain: one.uncertain + two.uncertain,
      evictedInWindow: one.evictedInWindow + two.evictedInWindow,
      estimatedOvershoot: one.estimatedOvershoot + two.estimatedOvershoot,
    }),
    NOTHING,
  )
}
