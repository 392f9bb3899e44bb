import type { AlgorithmName, Decision, Limit } from '@spillway/core'
import type { RequestLimiter } from './request-limiter.ts'

/** Where a client stands with one limit after a check, as the headers tell it. Times are whole seconds, rounded up. */
export interface Standing {
  /** The limiter's name, or that of one of its limits. */
  readonly name: string
  readonly limit: number
  /** The length of the window, or the time in which a full bucket drains. */
  readonly window: number
  readonly remaining: number
  /** Time until more quota is there, or for a refusal, until a retry can pass. Undefined if it never can. */
  readonly moreAfter: number | undefined
  /** Time until the full quota is back. */
  readonly resetAfter: number
}

/** Where the client stands with each limit that the decision is about. */
export function standingsOf(limiter: RequestLimiter, decision: Decision): Standing[] {
  const { parts } = decision
  if (parts === undefined) return [standing(limiter.name, onlyLimit(limiter), decision, decision)]
  return parts.map((part) => {
    const binding = part.name === decision.name ? decision : undefined
    return standing(part.name, { ...part, algorithm: part.algorithm as AlgorithmName }, part, binding)
  })
}

/** The limit of a limiter whose decisions have no parts. */
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

/** The standing once the cost is given back, capped: for a key on the limiter's `allow` list nothing was taken. */
export function withBack(standing: Standing, cost: number): Standing {
  return { ...standing, remaining: Math.min(standing.limit, standing.remaining + cost) }
}

/**
 * The longest wait until some quota comes back, in milliseconds; `Infinity` for an unknown algorithm. A bucket drains
 * steadily. Cost leaves a window or log after one window. A sliding window then weighs it for one more, rounded up: of
 * n, one is gone after an nth of it.
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
