import type { Decision } from '@spillway/core'
import { EventLoop } from './event-loop.ts'

/** What a load measured: numbers by name. */
export type Figures = Record<string, number>

interface Measured {
  check(key: string): Promise<Decision>
  checkSync?(key: string): Decision
  stats(): { pending: number; expired: number; uncertain: number }
}

/** Asks a limiter, and notes what it answers and how long that takes. */
export class Meter {
  offered = 0
  admitted = 0
  deniedInOutage = 0
  /** Milliseconds. */
  private longest = 0
  private longestExcess = -Infinity
  private readonly loop = new EventLoop()

  /** @param timeout of the limiter, ms */
  constructor(
    private readonly limiter: Measured,
    private readonly timeout: number,
  ) {}

  checkSync(key: string): boolean {
    const late = this.loop.lateness()
    const started = performance.now()
    const { allowed, reason } = (this.limiter as Required<Measured>).checkSync(key)
    return this.note(allowed, reason, performance.now() - started, this.loop.lateness() - late)
  }

  async check(key: string): Promise<boolean> {
    const late = this.loop.lateness()
    const started = performance.now()
    const { allowed, reason } = await this.limiter.check(key)
    return this.note(allowed, reason, performance.now() - started, this.loop.lateness() - late)
  }

  private note(allowed: boolean, reason: Decision['reason'], took: number, late: number): boolean {
    this.offered++
    if (allowed) this.admitted++
    else if (reason === 'outage') this.deniedInOutage++
    if (took > this.longest) this.longest = took
    this.longestExcess = Math.max(this.longestExcess, took - this.timeout - late)
    return allowed
  }

  /** Stops; the limiter must still be open. `settled`: admitted, and neither owed nor expired. */
  end(): Figures {
    this.loop.stop()
    const { offered, admitted, deniedInOutage, longest, longestExcess } = this
    const { pending: owed, expired, uncertain } = this.limiter.stats()
    const settled = admitted - owed - expired
    return { offered, admitted, deniedInOutage, owed, settled, expired, uncertain, longest, longestExcess }
  }
}
