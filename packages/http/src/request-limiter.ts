import type { Decision, Limit } from '@spillway/core'

/** What an adapter asks of a limiter: any of `createLimiter` will do. */
export interface RequestLimiter {
  readonly name: string
  /** Of one with several limits, each decision tells of them. */
  readonly limit: Limit | readonly Limit[]
  check(key: string, options?: { cost?: number }): Promise<Decision>
  /** Where there is one, it is asked first: it answers without a promise. */
  checkSync?(key: string, options?: { cost?: number }): Decision
  refund(key: string, cost?: number): Promise<unknown>
}
