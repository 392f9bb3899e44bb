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
    // A block ends no later than the longest wait, which is the decision's.
    const isDecisions = part.name === decision.name || part.reason === 'blocked' || isUntold(part)
    const whole = isDecisions ? decision : undefined
    return standing(part.name, { ...part, algorithm: part.algorithm as AlgorithmName }, part, whole)
  })
}

/**
 * Nothing is left, and no time is told: the store is away, or the key is on a `deny` list. Then only the whole decision
 * tells how long to wait.
 */
function isUntold({ remaining, resetAfterMs }: Pick<Decision, 'remaining' | 'resetAfterMs'>): boolean {
  return remaining === 0 && resetAfterMs === 0
}

/** The limit of a limiter whose decisions have no parts. */
function onlyLimit({ limit }: RequestLimiter): Limit {
  return (Array.isArray(limit) ? limit[0] : limit) as Limit
}

function standing(
  name: string,
  { window, algorithm }: { window: number; algorithm?: AlgorithmName },
  {
    limit,
    remaining,
    resetAfterMs,
    reason,
  }: Pick<Decision, 'limit' | 'remaining' | 'resetAfterMs'> & Pick<Partial<Decision>, 'reason'>,
  decision: Decision | undefined,
): Standing {
  const denied = decision?.allowed === false
  const untold = isUntold({ remaining, resetAfterMs })
  // A block ends when it was told to, whatever the window.
  const longest = reason === 'blocked' ? Infinity : longestWait(window, limit, remaining, algorithm)
  const passed = untold ? Infinity : Math.min(resetAfterMs, longest) // untold and passed: a limiter's dry run
  const moreAfterMs = denied ? decision.retryAfterMs : passed
  const resetMs = untold && moreAfterMs === Infinity ? window : resetAfterMs
  return {
    name,
    limit,
    window: Math.ceil(window / 1000),
    remaining,
    moreAfter: moreAfterMs === Infinity ? undefined : Math.ceil(moreAfterMs / 1000),
    // In an outage nobody knows when the full quota is back: not before the next try, at least. Of a denied key it never
    // is, but some styles must name a time, and 0 would say now: a window.
    resetAfter: Math.ceil(Math.max(resetMs, moreAfterMs === Infinity ? 0 : moreAfterMs) / 1000),
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
