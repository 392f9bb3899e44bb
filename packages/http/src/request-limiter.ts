import type { CheckOptions, Decision, Limits, PlanOptions, ScopeKeys, Scopes } from '@spillway/core'

/** What a limiter's `check` takes: a key, or of a limiter of scopes one for each. */
export type LimiterKey = string | ScopeKeys

/** The limits of a plan: as many as the limiter's own, or some of its scopes'. */
export type PlanLimits = Limits | Partial<Scopes>

/** What an adapter asks of a limiter: any of `createLimiter` will do. */
export interface RequestLimiter {
  readonly name: string
  /** Of one with several limits, each decision tells of them. */
  readonly limit: Limits | Scopes
  check(key: LimiterKey, options?: CheckOptions<PlanLimits>): Promise<Decision>
  /** Where there is one, it is asked first: it answers without a promise. */
  checkSync?(key: LimiterKey, options?: CheckOptions<PlanLimits>): Decision
  refund(key: LimiterKey, cost?: number, options?: PlanOptions<PlanLimits>): Promise<unknown>
}
