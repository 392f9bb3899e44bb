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
  /** What is in use above the limit. */
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

  // Declared only: a decision that has none of them is no larger for them.
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
 * Made first, with no numbers and then with small ones, so that V8 keeps a decision's numbers as they come. Otherwise it
 * makes an object for each number of a field that once held anything but a small integer, or never held one: up to 32
 * bytes a check.
 */
for (const number of [undefined as unknown as number, 0])
  void new Decision(true, number, number, number, number, number, 'local', undefined, undefined)

/**
 * Makes a decision; all are made here. If V8 has no room left in a check's code, this becomes a call, where `new` alone
 * would make the check cost half as much again (decision 0025).
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

/** A copy of what the store told, for another one who asks. */
export function sameDecision(decision: Decision): Decision {
  const { allowed, limit, remaining, retryAfterMs, resetAfterMs, delayMs, source, reason, name, debt } =
    decision
  const its = decisionOf(allowed, limit, remaining, retryAfterMs, resetAfterMs, delayMs, source, reason, name)
  return debt === undefined ? its : detailed(its, { debt })
}

/** Adds details to the decision. */
export function detailed<D extends object>(decision: Decision, details: D): Decision & D {
  return Object.assign(decision, details)
}

/** As it is being made. */
export type Writable<T> = { -readonly [name in keyof T]: T[name] }

/** As `detailed`, for what nearly every decision on several limits has. */
export function withParts(decision: Writable<Decision>, parts: readonly DecisionPart[]): Decision {
  decision.parts = parts
  return decision
}

/** Refuses a cost for which `left` does not suffice; if it is below 0, that much is owed. */
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

/** For a decision that counts what is booked as used: that much is no debt. */
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

/** What the `allow` and `deny` lists say of a key: nothing is counted. */
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

/**
 * Denies a check that only the store could decide: it is worth asking again once the store was heard. Takes nothing,
 * even if it would be allowed.
 */
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

/** Milliseconds until the full quota is back if the cost, which the decision counts as taken, is not taken. */
export function resetWithout(its: Limit, { remaining, resetAfterMs }: Decision, cost: number): number {
  const { limit, window } = its
  if (cost === 0) return resetAfterMs
  if (remaining + cost >= limit) return 0
  return isBucket(its) ? Math.max(0, Math.ceil(resetAfterMs - (cost * window) / limit)) : resetAfterMs
}

/** A refusal though something is left, which is booked for others. */
export function deniedDecision(
  { limit, remaining, resetAfterMs, source }: Decision,
  retryAfterMs: number,
): Decision {
  return decisionOf(false, limit, remaining, retryAfterMs, resetAfterMs, 0, source, 'limit')
}

/**
 * A refusal while a key is blocked; afterwards the limit itself must allow the cost, too.
 *
 * @param resetAfterMs the limit's own: nothing of what it would allow is taken
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
