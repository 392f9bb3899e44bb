import type { Decision, DenialReason } from './decision.ts'

/** What a limit says: no reason where it allows a cost. */
interface Answer {
  readonly reason?: DenialReason | undefined
}

/** Whether limits refuse, but only since they are used up, as far as that is known. */
export function isUsedUp(limits: readonly Answer[]): boolean {
  let refuses = false
  for (const { reason } of limits) {
    if (reason === 'limit') refuses = true
    else if (reason !== undefined && reason !== 'sync') return false
  }
  return refuses
}

/**
 * Of what a cost is taken that several limits decide: of all of them where all allow it, or of the reserve, if there is
 * one, where they are used up. Otherwise of nothing.
 */
export function payerOf(
  limits: readonly Decision[],
  reserve: Decision | undefined,
): 'limits' | 'reserve' | undefined {
  if (limits.every(({ allowed }) => allowed)) return 'limits'
  return isUsedUp(limits) && reserve?.allowed ? 'reserve' : undefined
}
