import { isBucket, type Limit } from './algorithms/algorithm.ts'

/** Who decided: this node's RAM, the store, or the rule for outages. */
export type DecisionSource = 'local' | 'store' | 'outage'

/**
 * Why a check was denied. `limit`: the quota is used up. `blocked`: see `block`. `cost`: more than the
 * limit ever allows at once. `sync`: only the store could say, and `checkSync` does not wait. `outage`: the
 * store is away, and `onOutage` says to deny.
 */
export type DenialReason = 'limit' | 'blocked' | 'cost' | 'sync' | 'outage'

/** How it stands with one limit of several. */
export interface DecisionPart {
  readonly name: string
  /** By its folder's name, such as `'fixed-window'`. */
  readonly algorithm: string
  readonly limit: number
  /** Milliseconds. */
  readonly window: number
  readonly remaining: number
  readonly resetAfterMs: number
  /** Why it refuses, as far as that is known. */
  readonly reason?: DenialReason
  /** What is in use above it. */
  readonly debt?: number
}

/** The answer to a check. A denial is a value, never an exception. */
export class Decision {
  constructor(
    /** Whether the cost was admitted. */
    readonly allowed: boolean,
    /** The limit, or the capacity, that decided. */
    readonly limit: number,
    /** What is left after this decision; never below 0. */
    readonly remaining: number,
    /**
     * 0 when allowed; otherwise the whole milliseconds, rounded up, after which this cost would be allowed if
     * nobody else came. `Infinity` if it never can be.
     */
    readonly retryAfterMs: number,
    /** Whole milliseconds, rounded up, until the full quota is back if nobody else comes. */
    readonly resetAfterMs: number,
    /** Leaky bucket: whole milliseconds after which to proceed, so that the output is smooth. Otherwise 0. */
    readonly delayMs: number,
    /** Who decided. */
    readonly source: DecisionSource,
    /** Why it was denied. */
    readonly reason: DenialReason | undefined,
    /** Which limit decided, where a limiter has several. */
    readonly name: string | undefined,
  ) {}

  // Declared only: a decision that has none of them is not made larger by them.
  /** Each limit, where a limiter has several. */
  declare readonly parts?: readonly DecisionPart[]
  /** It exceeds its limit, out of the reserve of `spike`. */
  declare readonly spike?: true
  /** It would be denied, but for `dryRun`. */
  declare readonly wouldDeny?: true
  /** What is in use above the limit: charged afterwards, or overshoot. */
  declare readonly debt?: number
}

/**
 * Made first, with no numbers: V8 has the numbers of all decisions in a class of objects lie in the objects from here on. It would
 * make another object for each of them that once was no small integer, of every decision: 32 bytes a check.
 */
const UNMADE = undefined as unknown as number
void new Decision(true, UNMADE, UNMADE, UNMADE, UNMADE, UNMADE, 'local', undefined, undefined)

/**
 * Makes a decision. Each is made here: where V8 has no room left in a check's code, this is a call, where `new` alone costs
 * the check half as much again (decision 0025).
 */
export function decisionOf(
  allowed: boolean,
  limit: number,
  remaining: number,
  retryAfterMs: number,
  resetAfterMs: number,
  delayMs: number,
  source: DecisionSource,
  reason?: DenialReason,
  name?: string,
): Decision {
  return new Decision(allowed, limit, remaining, retryAfterMs, resetAfterMs, delayMs, source, reason, name)
}

/** The same, as the store told it, for another one who asks. */
export function sameDecision(decision: Decision): Decision {
  const { allowed, limit, remaining, retryAfterMs, resetAfterMs, delayMs, source, reason, name, debt } =
    decision
  const its = decisionOf(allowed, limit, remaining, retryAfterMs, resetAfterMs, delayMs, source, reason, name)
  return debt === undefined ? its : detailed(its, { debt })
}

/** The decision, with more said of it. */
export function detailed<D extends object>(decision: Decision, details: D): Decision & D {
  return Object.assign(decision, details)
}

/** While it is made. */
export type Writable<T> = { -readonly [name in keyof T]: T[name] }

/** As `detailed`, of what nearly every decision on several limits has. */
export function withParts(decision: Writable<Decision>, parts: readonly DecisionPart[]): Decision {
  decision.parts = parts
  return decision
}

/** Of a cost for which `left` does not suffice; below 0, that is owed. */
export function refusal(
  left: number,
  limit: number,
  retryAfterMs: number,
  resetAfterMs: number,
  source: DecisionSource,
  reason: DenialReason,
): Decision {
  const decision = decisionOf(false, limit, Math.max(0, left), retryAfterMs, resetAfterMs, 0, source, reason)
  return left < 0 ? detailed(decision, { debt: -left }) : decision
}

/** Of a decision that takes what is booked for used: that much of it is no debt. */
export function withoutBooked(decision: Decision, booked: number): Decision {
  const { debt } = decision
  if (debt === undefined || booked === 0) return decision
  const { limit, retryAfterMs, resetAfterMs, source, reason = 'limit' } = decision
  return refusal(Math.min(0, booked - debt), limit, retryAfterMs, resetAfterMs, source, reason)
}

/** What `dryRun` makes of a refusal. */
export function passedAnyway(refusal: Decision): Decision {
  const { limit, remaining, resetAfterMs, source, reason, name, parts, debt } = refusal
  const decision = decisionOf(true, limit, remaining, 0, resetAfterMs, 0, source, reason, name)
  return detailed(decision, { ...(parts && { parts }), ...(debt && { debt }), wouldDeny: true as const })
}

/** What the lists say of a key: nothing is counted. */
export function listedDecision(allowed: boolean, limits: readonly NamedLimit[]): Decision {
  const parts = limits.map(({ name, limit: { algorithm, limit, window } }): DecisionPart => {
    return { name, algorithm, limit, window, remaining: allowed ? limit : 0, resetAfterMs: 0 }
  })
  const { name, limit, remaining } = parts.reduce((one, two) => (two.limit < one.limit ? two : one))
  const isOne = parts.length === 1 && limits[0]?.scope === undefined
  const [wait, reason] = allowed ? ([0, undefined] as const) : ([Infinity, 'blocked'] as const)
  const called = isOne ? undefined : name
  const decision = decisionOf(allowed, limit, remaining, wait, 0, 0, 'local', reason, called)
  return isOne ? decision : detailed(decision, { parts })
}

/** One of a limiter's limits. */
export interface NamedLimit {
  readonly name: string
  readonly scope: string | undefined
  readonly limit: Pick<DecisionPart, 'algorithm' | 'limit' | 'window'>
}

/** Only the store could say: worth asking again as soon as it has been heard. Nothing of what would be allowed is taken. */
export function syncDecision(its: Limit, wouldBe: Decision, cost: number): Decision {
  const { allowed, limit, remaining, source } = wouldBe
  const untaken = allowed ? cost : 0
  return decisionOf(
    false,
    limit,
    remaining + untaken,
    1,
    resetWithout(its, wouldBe, untaken),
    0,
    source,
    'sync',
  )
}

/** Until the full quota is back if the cost, of which the decision speaks as if it were taken, is not. */
export function resetWithout(its: Limit, { remaining, resetAfterMs }: Decision, cost: number): number {
  const { limit, window } = its
  if (cost === 0) return resetAfterMs
  if (remaining + cost >= limit) return 0
  return isBucket(its) ? Math.max(0, Math.ceil(resetAfterMs - (cost * window) / limit)) : resetAfterMs
}

/** A refusal though something is left: it is booked for others. */
export function deniedDecision(
  { limit, remaining, resetAfterMs, source }: Decision,
  retryAfterMs: number,
): Decision {
  return decisionOf(false, limit, remaining, retryAfterMs, resetAfterMs, 0, source, 'limit')
}

/**
 * A refusal while a key is blocked: also the limit itself must allow it afterwards.
 *
 * @param resetAfterMs as it stands with the limit: nothing of what it would allow is taken
 */
export function blockedDecision(wouldBe: Decision, blockedForMs: number, resetAfterMs: number): Decision {
  return decisionOf(
    false,
    wouldBe.limit,
    0,
    Math.max(wouldBe.retryAfterMs, blockedForMs),
    Math.max(resetAfterMs, blockedForMs),
    0,
    wouldBe.source,
    wouldBe.reason === 'cost' ? 'cost' : 'blocked',
  )
}
