import type { Decider, Earlier, Taken } from './decider.ts'
import type { Mode } from './options.ts'
import type { Spike } from './spike.ts'

/** What a cost was taken from, and when. */
export interface Payment<K> extends Earlier {
  readonly payer: Decider<K>
}

/**
 * How a cost was paid; undefined if it was refused, or passed without being counted.
 *
 * @param decider what was asked for it, besides the reserve of `spike`, if there is one
 */
export function paymentOf<K>(
  { decision, receipts }: Taken,
  decider: Decider<K>,
  spike: Spike | undefined,
  { at, cost }: Pick<Earlier, 'at' | 'cost'>,
  mode: Mode,
): Payment<K> | undefined {
  const { allowed, source, resetAfterMs, parts } = decision
  // The store has not counted what an outage let pass; of several hard limits, those that answered have.
  const isCounted =
    source !== 'outage' || (mode === 'hard' && receipts.some((receipt) => receipt !== undefined))
  if (!allowed || !isCounted) return undefined
  if (!decision.spike) return { payer: decider, at, cost, receipts, resetAfterMs, parts }
  const { reserve } = spike as Spike
  const { limit: extra, window } = reserve.part.limit
  // The decision speaks of the limit. For the reserve, as if nothing had been missing.
  const payer = reserve as Decider<unknown> as Decider<K>
  return { payer, at, cost, receipts, resetAfterMs: (cost * window) / extra }
}
