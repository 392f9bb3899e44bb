import type { Clock, Timer } from './clock.ts'
import { type Decision, detailed } from './decision.ts'
import { checkActual } from './options.ts'

/** How what was reserved is changed to what it cost. */
export interface Account {
  /** Both: false where the store is away. */
  refund(cost: number): Promise<boolean>
  charge(cost: number): Promise<boolean>
}

/** A decision on an estimate, whose true cost is told later. */
export interface Reservation extends Decision {
  /**
   * Tells the true cost, an integer from 0, once: less is given back, more is charged, past the limit too (`debt`).
   *
   * @returns whether the store has acknowledged it; false also where it was settled before, or nothing was reserved
   */
  settle(actual: number): Promise<boolean>
  /** Gives all back: as `settle(0)`. */
  release(): Promise<boolean>
}

/**
 * What was reserved stays taken, as estimated, when `ms` have passed without a word.
 *
 * @param account none: nothing was taken, and there is nothing to settle
 */
export function reservation(
  decision: Decision,
  account: Account | undefined,
  estimate: number,
  clock: Clock,
  ms: number,
): Reservation {
  let open = account !== undefined
  let timer: Timer | undefined
  if (open) timer = clock.setTimer(() => (open = false), ms)
  const settle = async (actual: number): Promise<boolean> => {
    checkActual(actual)
    if (account === undefined || !open) return false
    open = false
    if (timer !== undefined) clock.clearTimer(timer)
    if (actual < estimate) return account.refund(estimate - actual)
    return actual === estimate || account.charge(actual - estimate)
  }
  return detailed(decision, { settle, release: () => settle(0) })
}
