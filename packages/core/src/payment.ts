import type { Decider, Earlier, Taken } from './decider.ts'
import type { Mode } from './options.ts'
import type { Spike } from './spike.ts'

/** What a cost was taken of, and when. */
export interface Payment<K> extends Earlier {
  readonly payer: Decider<K>
}

/**
 * How a cost was paid: not at all where it was refused, or passed without being counted.
 *
 * @param decider what was asked for it, beside the reserve of `spike`, if there is one
 */
export function paymentOf<K>(
  { decision, receipts }: Taken,
  decider: Decider<K>,
  spike: Spike | undefined,
  { at, cost }: Pick<Earlier, 'at' | 'cost'>,
  mode: Mode,
): Payment<K> | undefined {
  const { allowed, source, resetAfterMs, parts } = decision
  // What an outage let pass, the store has not counted; of several hard limits those have that answered.
  const isCounted =
    source !== 'outage' || (mode === 'hard' && receipts.some((receipt) => receipt !== undefined))
  if (!allowed || !isCounted) return undefined
  if (!decision.spike) return { payer: decider, at, cost, receipts, resetAfterMs, parts }
  const { reserve } = spike as Spike
  const { limit: extra, window } = reserve.part.limit
  // The decision speaks of the limit: of the reserve, as if nothing had been missing.
  const payer = reserve as Decider<unknown> as Decider<K>
  return { payer, at, cost, receipts, resetAfterMs: (cost * window) / extra }
}
