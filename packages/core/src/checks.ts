import type { Decision } from './decision.ts'
import type { Operation, Snapshot } from './store/store.ts'

/** Counters since the limiter's creation, and gauges. */
export interface Stats {
  readonly checks: number
  readonly admitted: number
  readonly denied: number
  /** Cost admitted here that the store has not acknowledged. */
  readonly pending: number
  /** Keys held in RAM. */
  readonly keys: number
  readonly storeCalls: number
  /** Key entries sent in those calls. */
  readonly storeEntries: number
  /** Soft: milliseconds since the store's last answer. */
  readonly syncLagMs: number
  /** Whether the store is away. */
  readonly degraded: boolean
  /** Cost admitted here whose window was over before it could be settled. */
  readonly expired: number
  /** Checks answered by the outage rule though the store may have counted them. */
  readonly uncertain: number
  /** Keys evicted from RAM. */
  readonly evictedInWindow: number
  /** Soft: pending × the other nodes, what the nodes together may be above what this one knows. */
  readonly estimatedOvershoot: number
}

/** What is to be asked of the store, and given up for it before. */
export interface Resetting {
  readonly operation: Operation
  /** The store did not do it: what was given up is had again, as far as the store can't know of that. */
  undo(): void
}

/** How a mode decides checks. */
export interface Checks {
  /** At once where nobody has to be asked. */
  check(key: string, cost: number): Decision | Promise<Decision>
  peek(key: string): Promise<Decision>
  /**
   * @param at store time at which it was taken; none: of what is newest
   * @param marker of the store that was taken of, where a node that settles does not give it again what it loses
   */
  refund(key: string, cost: number, at?: number, marker?: string): Promise<void>
  /** Gives up what is booked for the key, as far as this node knows. */
  reset(key: string): Resetting
  /** A verb's answer of the store. */
  learn(snapshot: Snapshot): void
  flush(): Promise<void>
  close(): Promise<void>
  stats(): Pick<
    Stats,
    'pending' | 'keys' | 'syncLagMs' | 'expired' | 'uncertain' | 'evictedInWindow' | 'estimatedOvershoot'
  >
}
