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

/** What a decision, or its part for one limit, tells of that limit. */
type Told = Pick<Decision, 'limit' | 'remaining' | 'resetAfterMs'> & Partial<Pick<Decision, 'reason'>>

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
function isUntold({ remaining, resetAfterMs }: Told): boolean {
  return remaining === 0 && resetAfterMs === 0
}

/** The limit of a limiter whose decisions have no parts. */
function onlyLimit({ limit }: RequestLimiter): Limit {
  return (Array.isArray(limit) ? limit[0] : limit) as Limit
}

interface Kind {
  readonly window: number
  readonly algorithm?: AlgorithmName
}

/** @param decision set if it tells how long to wait for this limit */
function standing(name: string, kind: Kind, told: Told, decision: Decision | undefined): Standing {
  const { limit, remaining } = told
  const moreAfterMs = decision?.allowed === false ? decision.retryAfterMs : waitOnceAllowed(kind, told)
  const isNever = moreAfterMs === Infinity
  return {
    name,
    limit,
    window: Math.ceil(kind.window / 1000),
    remaining,
    moreAfter: isNever ? undefined : Math.ceil(moreAfterMs / 1000),
    // In an outage nobody knows when the full quota is back: not before the next try, at least.
    resetAfter: Math.ceil(
      (isNever ? resetOfNever(kind, told) : Math.max(told.resetAfterMs, moreAfterMs)) / 1000,
    ),
  }
}

/** Milliseconds until some quota comes back, of a limit that allows the check; `Infinity` if no time is told. */
function waitOnceAllowed({ window, algorithm }: Kind, told: Told): number {
  const { limit, remaining, resetAfterMs, reason } = told
  // A limiter's dry run lets pass what it would deny.
  if (isUntold(told)) return Infinity
  // A block ends when it was told to, whatever the window.
  if (reason === 'blocked') return resetAfterMs
  return Math.min(resetAfterMs, longestWait(window, limit, remaining, algorithm))
}

/** Of a denied key the full quota is never back, but some styles must name a time, and 0 would say now: a window. */
function resetOfNever({ window }: Kind, told: Told): number {
  return isUntold(told) ? window : told.resetAfterMs
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
