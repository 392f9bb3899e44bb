import type { Timer } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'

/** A manual clock that knows how many of its timers wait. */
export class CountingClock extends ManualClock {
  private readonly waitingTimers = new Set<Timer>()

  get waiting(): number {
    return this.waitingTimers.size
  }

  override setTimer(callback: () => void, ms: number): Timer {
    const timer = super.setTimer(() => {
      this.waitingTimers.delete(timer)
      callback()
    }, ms)
    this.waitingTimers.add(timer)
    return timer
  }

  override clearTimer(timer: Timer): void {
    this.waitingTimers.delete(timer)
    super.clearTimer(timer)
  }
}
