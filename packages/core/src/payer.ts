import type { Decision } from './decision.ts'

/**
 * Of what a cost is taken that several limits decide: of all of them where all allow it, or of the reserve, if there is
 * one, where they refuse only since they are used up. Otherwise of nothing.
 */
export function payerOf(
  limits: readonly Decision[],
  reserve: Decision | undefined,
): 'limits' | 'reserve' | undefined {
  if (limits.every(({ allowed }) => allowed)) return 'limits'
  const usedUp = limits.every(({ allowed, reason }) => allowed || reason === 'limit')
  return usedUp && reserve?.allowed ? 'reserve' : undefined
}
