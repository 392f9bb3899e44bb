import type { Decision, DenialReason } from './decision.ts'

/** What a limit says; no reason if it allows a cost. */
interface Answer {
  readonly reason?: DenialReason | undefined
}

/** Whether limits refuse, and only because they are used up, as far as that is known. */
export function isUsedUp(limits: readonly Answer[]): boolean {
  let refuses = false
  for (const { reason } of limits) {
    if (reason === 'limit') refuses = true
    else if (reason !== undefined && reason !== 'sync') return false
  }
  return refuses
}

/**
 * What pays for a cost that several limits decide on: all of them if all allow it, or the reserve, if there is one,
 * when they are used up. Otherwise nothing.
 */
export function payerOf(
  limits: readonly Decision[],
  reserve: Decision | undefined,
): 'limits' | 'reserve' | undefined {
  if (limits.every(({ allowed }) => allowed)) return 'limits'
  return isUsedUp(limits) && reserve?.allowed ? 'reserve' : undefined
}
