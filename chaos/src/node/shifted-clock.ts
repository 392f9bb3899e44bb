import { type Clock, systemClock } from '@spillway/core'

/** The machine's clock, but its wall time can be made to jump, and both its times can be moved on. */
export class ShiftedClock implements Clock {
  /** Milliseconds that the wall clock is off. */
  shift = 0
  /** Milliseconds by which both times are ahead. */
  later = 0

  wall(): number {
    return systemClock.wall() + this.shift + this.later
  }

  monotonic(): number {
    return systemClock.monotonic() + this.later
  }

  setTimer(callback: () => void, ms: number): unknown {
    return systemClock.setTimer(callback, ms)
  }

  clearTimer(timer: unknown): void {
    systemClock.clearTimer(timer)
  }
}
