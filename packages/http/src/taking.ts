import type { CheckOptions, Decision } from '@spillway/core'
import { type Awaitable, isPromise } from './awaitable.ts'
import type { LimiterKey, PlanLimits, RequestLimiter } from './request-limiter.ts'

/** A request's cost and plan; undefined: cost 1 and the limiter's own limit. */
export type Terms = CheckOptions<PlanLimits> | undefined

/** A limiter's decision about a request. */
export interface Taking {
  readonly limiter: RequestLimiter
  readonly decision: Decision
}

/** Asks one limiter, without a promise if it can answer from RAM. */
export function take(limiter: RequestLimiter, key: LimiterKey, terms: Terms): Awaitable<Decision> {
  if (limiter.checkSync === undefined) return limiter.check(key, terms)
  const decision = limiter.checkSync(key, terms)
  return decision.reason === 'sync' ? limiter.check(key, terms) : decision
}

/** Asks limiters in turn, up to the first that denies. If one fails, what those before it took is given back. */
export function takeInTurn(
  limiters: readonly RequestLimiter[],
  key: LimiterKey,
  terms: Terms,
): Awaitable<readonly Taking[]> {
  const takings: Taking[] = []
  for (const limiter of limiters) {
    let decision: Awaitable<Decision>
    try {
      decision = take(limiter, key, terms)
    } catch (error) {
      if (takings.length === 0) throw error
      decision = Promise.reject(error)
    }
    if (isPromise(decision)) return goOn(limiters, key, terms, takings, decision)
    takings.push({ limiter, decision })
    if (!decision.allowed) break
  }
  return takings
}

/** Asks the rest, from the first limiter that needs a promise. */
async function goOn(
  limiters: readonly RequestLimiter[],
  key: LimiterKey,
  terms: Terms,
  takings: Taking[],
  first: PromiseLike<Decision>,
): Promise<readonly Taking[]> {
  try {
    let decision = await first
    for (;;) {
      takings.push({ limiter: limiters[takings.length] as RequestLimiter, decision })
      const next = limiters[takings.length]
      if (next === undefined || !decision.allowed) return takings
      decision = await take(next, key, terms)
    }
  } catch (error) {
    await giveBack(takings, key, terms)
    throw error
  }
}

/**
 * Whether the limit counts what was allowed, so that a refund can give it back. What the reserve of a `spike` paid
 * can't be: the refund would go to the limit. An answer in an outage may be counted in part; that stays taken, as in
 * `acquire`.
 */
export function isCounted({ allowed, wouldDeny, spike, source }: Decision): boolean {
  return allowed && !wouldDeny && !spike && source !== 'outage'
}

/** Gives back what was taken, as far as possible: if a store is away, it stays taken. */
export async function giveBack(
  takings: readonly Taking[],
  key: LimiterKey,
  { cost, limit }: CheckOptions<PlanLimits> = {},
): Promise<void> {
  const plan = limit === undefined ? undefined : { limit }
  const counted = takings.filter(({ decision }) => isCounted(decision))
  await Promise.allSettled(counted.map(({ limiter }) => limiter.refund(key, cost, plan)))
}
