import type { Receipt } from './decider.ts'
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
  /** Keys that were pushed out of RAM, and forgotten, while something of them still counted. */
  readonly evictedInWindow: number
  /**
   * Soft: pending × the other nodes, which is how far the nodes together may be above what this one knows. Leased and
   * `maxOvershoot`: how far above the limit may be booked.
   */
  readonly estimatedOvershoot: number
}

/** What to ask of the store for a reset, and how to undo what was given up for it before. */
export interface Resetting {
  readonly operation: Operation
  /** The store did not do it: takes back what was given up, as far as the store can't know of that. */
  undo(): void
}

/** What was taken some time ago, and is given back now. */
export interface TakenThen {
  /** Store time at which it was taken, as well as this node knows it. */
  readonly at: number
  /** How much of it is not given back: of a bucket, that drains first. */
  readonly stays: number
  /** Undefined if the store was not heard then. */
  readonly receipt: Receipt | undefined
}

/** The operation that gives so much back. */
export function refundOf(key: string, cost: number, stays: number, receipt: Receipt): Operation {
  const { at, marker, others } = receipt
  return ['refund', key, cost, at, stays, marker, others]
}

/** How a mode decides checks. */
export interface Checks {
  /** At once if nobody has to be asked. */
  check(key: string, cost: number): Decision | Promise<Decision>
  peek(key: string): Promise<Decision>
  /** @param then what was taken earlier; none: the newest cost goes back */
  refund(key: string, cost: number, then?: TakenThen): Promise<void>
  /** Gives up what is booked for the key, as far as this node knows. */
  reset(key: string): Resetting
  /** Takes in the store's answer to a verb. */
  learn(snapshot: Snapshot): void
  flush(): Promise<void>
  close(): Promise<void>
  stats(): Pick<
    Stats,
    'pending' | 'keys' | 'syncLagMs' | 'expired' | 'uncertain' | 'evictedInWindow' | 'estimatedOvershoot'
  >
}
