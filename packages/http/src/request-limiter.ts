import type { CheckOptions, Decision, Limits, PlanOptions, ScopeKeys, Scopes } from '@spillway/core'

/** A limiter's key, or for a limiter with scopes, a key for each. */
export type LimiterKey = string | ScopeKeys

/** The limits of a plan: as many as the limiter's own, or those of some of its scopes. */
export type PlanLimits = Limits | Partial<Scopes>

/** What an adapter needs of a limiter: any made by `createLimiter` has it. */
export interface RequestLimiter {
  readonly name: string
  /** If there are several, each decision has them as its parts. */
  readonly limit: Limits | Scopes
  check(key: LimiterKey, options?: CheckOptions<PlanLimits>): Promise<Decision>
  /** If present, it is asked first, since it answers without a promise. */
  checkSync?(key: LimiterKey, options?: CheckOptions<PlanLimits>): Decision
  refund(key: LimiterKey, cost?: number, options?: PlanOptions<PlanLimits>): Promise<unknown>
}
