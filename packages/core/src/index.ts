export type { AlgorithmName, Limit } from './algorithms/algorithm.ts'
export { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
export { leakyBucket } from './algorithms/leaky-bucket/leaky-bucket.ts'
export { slidingLog } from './algorithms/sliding-log/sliding-log.ts'
export { slidingWindow } from './algorithms/sliding-window/sliding-window.ts'
export { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
export type { Stats } from './checks.ts'
export { type Clock, systemClock, type Timer } from './clock.ts'
export type { Decision, DecisionPart, DecisionSource, DenialReason } from './decision.ts'
export type { Duration } from './duration.ts'
export { AcquireError, ConfigError, type ConfigErrorCode, StoreError, type StoreErrorCode } from './errors.ts'
export type { KeyList } from './key-list.ts'
export type { Limits, ScopeKeys, Scopes, SpikeOptions } from './limit-parts.ts'
export {
  type AcquireOptions,
  type CheckOptions,
  createLimiter,
  type HardLimiter,
  type LeasedLimiter,
  type LimiterOf,
  type PlanOptions,
  type ReserveOptions,
  type SoftLimiter,
} from './limiter.ts'
export type { LimiterOptions, Mode, OnOutage, ScopedOptions, SyncOptions } from './options.ts'
export type { Reservation } from './reservation.ts'
export { memoryStore } from './store/memory.ts'
export type { Store } from './store/store.ts'
