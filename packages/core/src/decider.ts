import type { Algorithm } from './algorithms/algorithm.ts'
import { mulDivUp } from './algorithms/arithmetic.ts'
import type { Stats } from './checks.ts'
import type { Decision } from './decision.ts'
import { type GivenBack, type InUse, NONE_IN_USE } from './store/store.ts'

/** What must be known of what one limit took, so that no more of it is given back than still counts. */
export interface Receipt {
  /** When it was taken, in the store's time, at the earliest. */
  readonly at: number
  /** Of the store that was taken of. */
  readonly marker: string
  /** Of a bucket: what was in use beside it, at least. What was only booked may have gone back since, and then has not drained. */
  readonly others: InUse
  /** Of RAM: what goes back in it without the store. */
  readonly letGo?: LetGo
  /** Of RAM: the slice of which it was counted there, where that is known: by a clock that was ahead, a later one than `at` is in. */
  readonly slice?: number | undefined
}

/** What had gone back of a key in RAM alone, which was only held, and when that was looked at, monotonic. */
export interface LetGo {
  readonly cost: number
  readonly at: number
}

/** How it stands with one limit. */
export type Standing = Pick<Decision, 'limit' | 'remaining' | 'resetAfterMs'>

/** What the store said of a key, by what was heard at that time: what of its use was booked, and what had been given back. */
export interface Beside {
  readonly booked: number
  readonly given: GivenBack
  readonly heard: number
}

/**
 * What was in use of a bucket beside a cost that was allowed, at least. What was only booked was not. Of its last unit a part
 * may have drained: it is left out where it drains in no time, and otherwise what has drained of it is told by when all will have.
 */
export function othersIn(
  { limit, remaining, resetAfterMs }: Standing,
  cost: number,
  { booked, given, heard }: Beside,
  { limit: capacity, parameters }: Algorithm,
): InUse {
  const [, , rate = 0, per = 0] = parameters
  // Of a window and a log it does not matter.
  if (rate === 0) return NONE_IN_USE
  const others = limit - remaining - cost - booked
  if (others <= 0) return [0, 0, ...given, rate, heard]
  // Also where another limit was set since.
  if (rate > per || limit !== capacity) return [others - 1, 0, ...given, rate, heard]
  const whole = mulDivUp(limit - remaining, per, rate)
  return [others, Math.max(0, whole - resetAfterMs + 1), ...given, rate, heard]
}

/** What was taken some time ago: time has freed some of it since. */
export interface Earlier {
  /** Monotonic time, no later than it was taken. */
  readonly at: number
  /** How much. */
  readonly cost: number
  /** For each limit. */
  readonly receipts: readonly (Receipt | undefined)[]
  /** As the decision said then. */
  readonly resetAfterMs: number
  /** Of each limit, where there are several. */
  readonly parts?: readonly { readonly resetAfterMs: number }[] | undefined
}

/** A decision, and for each limit by what it can be given back. */
export interface Taken {
  readonly decision: Decision
  readonly receipts: readonly (Receipt | undefined)[]
}

/** What a limiter asks: one limit, or several. What is not allowed takes nothing. */
export interface Decider<K> {
  /** @throws ConfigError `ERR_KEY` */
  checkKey(key: unknown): asserts key is K
  /** At once where nobody has to be asked. */
  check(key: K, cost: number): Decision | Promise<Decision>
  /** As `check`, so that it can be given back. */
  take(key: K, cost: number): Promise<Taken>
  /** Soft and leased. */
  checkSync(key: K, cost: number): Decision
  peek(key: K): Promise<Decision>
  /**
   * Of the current window or bucket; with `earlier`, of what was taken then, and no more than still counts.
   *
   * @throws StoreError where the store does not acknowledge it, as all that follow
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

/** What several count together. */
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
