import type { AlgorithmName, Decision, Limit } from '@spillway/core'
import type { RequestLimiter } from './request-limiter.ts'

/** How a client stands with one limit after a check: what the headers tell. Times are whole seconds, rounded up. */
export interface Standing {
  /** The limit's name: of its limiter, or of one limit of several. */
  readonly name: string
  readonly limit: number
  /** Until the window or bucket has gone round once. */
  readonly window: number
  readonly remaining: number
  /** Until more quota is there; of a refusal: until a retry can pass. Undefined if it never can. */
  readonly moreAfter: number | undefined
  /** Until the full quota is back. */
  readonly resetAfter: number
}

/** How the client stands with each limit that a decision was made of. */
export function standingsOf(limiter: RequestLimiter, decision: Decision): Standing[] {
  const { parts } = decision
  if (parts === undefined) return [standing(limiter.name, onlyLimit(limiter), decision, decision)]
  return parts.map((part) => {
    const binding = part.name === decision.name ? decision : undefined
    return standing(part.name, { ...part, algorithm: part.algorithm as AlgorithmName }, part, binding)
  })
}

/** Of a limiter whose decisions tell of no parts. */
function onlyLimit({ limit }: RequestLimiter): Limit {
  return (Array.isArray(limit) ? limit[0] : limit) as Limit
}

function standing(
  name: string,
  { window, algorithm }: { window: number; algorithm?: AlgorithmName },
  { limit, remaining, resetAfterMs }: Pick<Decision, 'limit' | 'remaining' | 'resetAfterMs'>,
  decision: Decision | undefined,
): Standing {
  const denied = decision?.allowed === false
  const moreAfterMs = denied
    ? decision.retryAfterMs
    : Math.min(resetAfterMs, longestWait(window, limit, remaining, algorithm))
  return {
    name,
    limit,
    window: Math.ceil(window / 1000),
    remaining,
    moreAfter: moreAfterMs === Infinity ? undefined : Math.ceil(moreAfterMs / 1000),
    resetAfter: Math.ceil(resetAfterMs / 1000),
  }
}

/** How the client stands when the cost has been given back. Of a key on a limiter's `allow` list nothing was taken. */
export function withBack(standing: Standing, cost: number): Standing {
  return { ...standing, remaining: Math.min(standing.limit, standing.remaining + cost) }
}

/**
 * The longest until some quota comes back, in milliseconds, as far as the algorithm is known. A bucket drains steadily.
 * What a window or log admitted has left it after one window; a sliding one weighs it for another, rounded up: of n, one
 * is gone after an nth of that.
 */
function longestWait(window: number, limit: number, remaining: number, algorithm?: AlgorithmName): number {
  switch (algorithm) {
    case 'token-bucket':
    case 'leaky-bucket':
      return window / limit
    case 'sliding-window':
      return window + window / (limit - remaining)
    case 'fixed-window':
    case 'sliding-log':
      return window
    default:
      return Infinity
  }
}
