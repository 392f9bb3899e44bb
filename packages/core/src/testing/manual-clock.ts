import type { Clock, Timer } from '../clock.ts'

interface Due {
  readonly at: number
  readonly callback: () => void
}

/** A clock that only moves when it is told to, for tests. */
export class ManualClock implements Clock {
  private due: Due[] = []

  /** @param time where it begins, in milliseconds since the Unix epoch */
  constructor(private time = 0) {}

  wall(): number {
    return this.time
  }

  monotonic(): number {
    return this.time
  }

  /** How many timers have neither fired nor been cleared. */
  get waiting(): number {
    return this.due.length
  }

  setTimer(callback: () => void, ms: number): Timer {
    const timer: Due = { at: this.time + Math.max(0, ms), callback }
    this.due.push(timer)
    return timer
  }

  clearTimer(timer: Timer): void {
    this.due = this.due.filter((other) => other !== timer)
  }

  /** Moves on by `ms`, firing timers at their times, and lets what they set off settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms
    await settled()
    for (;;) {
      const next = this.due.reduce<Due | undefined>(
        (first, due) => (!first || due.at < first.at ? due : first),
        undefined,
      )
      if (next === undefined || next.at > end) break
      this.time = Math.max(this.time, next.at)
      this.clearTimer(next)
      next.callback()
      await settled()
    }
    this.time = end
    await settled()
  }
}

/** Lets all resolved promises go on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
