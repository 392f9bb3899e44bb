import type { Decision } from '@spillway/core'
import { type Awaitable, isPromise } from './awaitable.ts'
import type { RequestLimiter } from './request-limiter.ts'

/** What a limiter decided for a request. */
export interface Taking {
  readonly limiter: RequestLimiter
  readonly decision: Decision
}

/** Asks one limiter, without a promise where it can answer from RAM. */
function take(limiter: RequestLimiter, key: string, cost: number): Awaitable<Decision> {
  const options = { cost }
  if (limiter.checkSync === undefined) return limiter.check(key, options)
  const decision = limiter.checkSync(key, options)
  return decision.reason === 'sync' ? limiter.check(key, options) : decision
}

/** Asks limiters one after the other, up to the first that denies; where one fails, those before are given back. */
export function takeInTurn(
  limiters: readonly RequestLimiter[],
  key: string,
  cost: number,
  before: readonly Taking[] = [],
): Awaitable<readonly Taking[]> {
  const limiter = limiters[before.length]
  if (limiter === undefined || before.at(-1)?.decision.allowed === false) return before

  const goOn = (decision: Decision) => takeInTurn(limiters, key, cost, [...before, { limiter, decision }])
  const fail = async (error: unknown): Promise<never> => {
    await giveBack(before, key, cost)
    throw error
  }
  try {
    const decision = take(limiter, key, cost)
    return isPromise(decision) ? decision.then(goOn, fail) : goOn(decision)
  } catch (error) {
    return fail(error)
  }
}

/** Gives back what was taken. What can't be, because a store is away, stays taken. */
export async function giveBack(takings: readonly Taking[], key: string, cost: number): Promise<void> {
  await Promise.allSettled(takings.map(({ limiter }) => limiter.refund(key, cost)))
}
