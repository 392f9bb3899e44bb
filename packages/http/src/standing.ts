import type { Decision, Limit } from '@spillway/core'
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

/** One limit of a decision on several. */
interface Part {
  readonly name: string
  readonly limit: number
  readonly remaining: number
  readonly resetAfterMs: number
  /** Milliseconds. */
  readonly window: number
}

/** How the client stands with each limit that a decision was made of. */
export function standingsOf(limiter: RequestLimiter, decision: Decision): Standing[] {
  const { parts } = decision as { parts?: readonly Part[] }
  if (parts === undefined) return [standing(limiter.name, limiter.limit, decision, decision)]
  return parts.map((part) => {
    const binding = part.name === decision.name ? decision : undefined
    return standing(part.name, { window: part.window }, part, binding)
  })
}

function standing(
  name: string,
  { window, algorithm }: Pick<Limit, 'window'> & { algorithm?: Limit['algorithm'] },
  { limit, remaining, resetAfterMs }: Pick<Decision, 'limit' | 'remaining' | 'resetAfterMs'>,
  decision: Decision | undefined,
): Standing {
  const denied = decision?.allowed === false
  const moreAfterMs = denied
    ? decision.retryAfterMs
    : Math.min(resetAfterMs, longestWait(window, limit, algorithm))
  return {
    name,
    limit,
    window: Math.ceil(window / 1000),
    remaining,
    moreAfter: moreAfterMs === Infinity ? undefined : Math.ceil(moreAfterMs / 1000),
    resetAfter: Math.ceil(resetAfterMs / 1000),
  }
}

/** The longest until some quota comes back, in milliseconds: a bucket drains steadily, a window within itself. */
function longestWait(window: number, limit: number, algorithm: Limit['algorithm'] | undefined): number {
  return algorithm === 'token-bucket' || algorithm === 'leaky-bucket' ? window / limit : window
}
