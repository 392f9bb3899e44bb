import {
  type Decision,
  type DecisionPart,
  type DecisionSource,
  decisionOf,
  detailed,
  resetWithout,
  type Writable,
  withParts,
} from './decision.ts'
import { toldApart } from './limit-parts.ts'
import type { SingleLimit } from './single-limit.ts'

const DISTANCE: Record<DecisionSource, number> = { local: 0, store: 1, outage: 2 }

/** Combines the decisions of several limits into one, which goes by the limit that `binds`. */
export function combined(
  limits: readonly SingleLimit[],
  decisions: readonly Decision[],
  cost: number,
): Decision {
  const allowed = areAllowed(decisions)
  const parts: DecisionPart[] = []
  let binding = 0
  let resetAfterMs = 0
  let delayMs = 0
  let source: DecisionSource = 'local'
  for (let place = 0; place < decisions.length; place++) {
    const { part, limit, name: called } = limits[place] as SingleLimit
    const decision = decisions[place] as Decision
    if (binds(decision, decisions[binding] as Decision)) binding = place
    // What one limit would have allowed is not taken if another one refuses.
    const untaken = allowed || !decision.allowed ? 0 : cost
    const name = toldApart(called, part.place, parts)
    const { algorithm, window } = limit
    const { reason } = decision
    const remaining = Math.min(decision.limit, decision.remaining + untaken)
    const its = resetWithout(limit, decision, untaken)
    const told: Writable<DecisionPart> = {
      name,
      algorithm,
      window,
      limit: decision.limit,
      remaining,
      resetAfterMs: its,
    }
    if (reason !== undefined && reason !== 'sync') told.reason = reason
    if (decision.debt) told.debt = decision.debt
    parts.push(told)
    resetAfterMs = Math.max(resetAfterMs, its)
    if (allowed) delayMs = Math.max(delayMs, decision.delayMs)
    if (DISTANCE[decision.source] > DISTANCE[source]) source = decision.source
  }
  const { limit, remaining, retryAfterMs, reason, debt } = decisions[binding] as Decision
  const { name } = parts[binding] as DecisionPart
  const decision = decisionOf(
    allowed,
    limit,
    remaining,
    retryAfterMs,
    resetAfterMs,
    delayMs,
    source,
    reason,
    name,
  )
  const whole = withParts(decision, parts)
  return debt === undefined ? whole : detailed(whole, { debt })
}

function areAllowed(decisions: readonly Decision[]): boolean {
  for (let place = 0; place < decisions.length; place++)
    if (!(decisions[place] as Decision).allowed) return false
  return true
}

/**
 * A refusal binds before an allowance; of refusals, a certain one, then the longest; of allowances, the one with the
 * least left.
 */
function binds(one: Decision, two: Decision): boolean {
  if (one.allowed !== two.allowed) return !one.allowed
  if (one.allowed) return one.remaining < two.remaining
  if ((one.reason === 'sync') !== (two.reason === 'sync')) return two.reason === 'sync'
  return one.retryAfterMs > two.retryAfterMs
}
