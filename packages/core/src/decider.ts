import type { Stats } from './checks.ts'
import type { Decision } from './decision.ts'

/** What else must be known of a decision of one limit, so that what it took can be given back. */
export interface Receipt {
  /** Of the store's answer that told of it; none: nobody need ask. */
  readonly marker?: string | undefined
  /** What was booked for nodes then, and counted as used: it may have gone back since, and then has not drained. */
  readonly booked: number
}

/** What was taken some time ago: time has freed some of it since. */
export interface Earlier {
  /** Monotonic time, no later than it was taken. */
  readonly at: number
  /** For each limit. */
  readonly receipts?: readonly (Receipt | undefined)[] | undefined
  /** As the decision said then. */
  readonly resetAfterMs: number
  /** The limit by which it was taken: another one may have been set since. */
  readonly limit: number
  /** Of each limit, where there are several. */
  readonly parts?: readonly { readonly resetAfterMs: number; readonly limit: number }[] | undefined
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
