import type { Clock, Timer } from './clock.ts'
import { type Decision, detailed } from './decision.ts'
import { checkActual } from './options.ts'

/** Corrects what was reserved to what it cost. */
export interface Account {
  /** Both: false if the store is away. */
  refund(cost: number): Promise<boolean>
  charge(cost: number): Promise<boolean>
}

/** A decision on an estimate; the true cost is told later. */
export interface Reservation extends Decision {
  /**
   * Tells the true cost, an integer from 0, once: if it is less, the rest is given back; if it is more, the excess is
   * charged, even past the limit (`debt`).
   *
   * @returns whether the store has acknowledged it; false also if it was settled before, or nothing was reserved
   */
  settle(actual: number): Promise<boolean>
  /** Gives all back: as `settle(0)`. */
  release(): Promise<boolean>
}

/** A limiter's reservations whose true cost is not known yet. */
export class Reservations {
  private readonly timers = new Set<Timer>()
  private closed = false

  constructor(private readonly clock: Clock) {}

  /**
   * If `ms` pass without a word, what was reserved stays taken, as estimated.
   *
   * @param account none: nothing was taken, and there is nothing to settle
   */
  open(decision: Decision, account: Account | undefined, estimate: number, ms: number): Reservation {
    let open = account !== undefined
    const timer = open ? this.later(() => (open = false), ms) : undefined
    const settle = async (actual: number): Promise<boolean> => {
      checkActual(actual)
      if (account === undefined || !open) return false
      open = false
      if (timer !== undefined) this.stop(timer)
      if (actual < estimate) return account.refund(estimate - actual)
      return actual === estimate || account.charge(actual - estimate)
    }
    return detailed(decision, { settle, release: () => settle(0) })
  }

  private later(end: () => void, ms: number): Timer | undefined {
    if (this.closed) return undefined
    const timer = this.clock.setTimer(() => {
      this.timers.delete(timer)
      end()
    }, ms)
    this.timers.add(timer)
    return timer
  }

  private stop(timer: Timer): void {
    this.timers.delete(timer)
    this.clock.clearTimer(timer)
  }

  /** Nothing can be settled any more: no timer stays. */
  close(): void {
    this.closed = true
    for (const timer of this.timers) this.stop(timer)
  }
}
