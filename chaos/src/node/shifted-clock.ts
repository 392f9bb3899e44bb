import { type Clock, systemClock } from '@spillway/core'

/** The machine's clock, whose wall time can be made to jump. */
export class ShiftedClock implements Clock {
  shift = 0

  wall(): number {
    return systemClock.wall() + this.shift
  }

  monotonic(): number {
    return systemClock.monotonic()
  }

  setTimer(callback: () => void, ms: number): unknown {
    return systemClock.setTimer(callback, ms)
  }

  clearTimer(timer: unknown): void {
    systemClock.clearTimer(timer)
  }
}
