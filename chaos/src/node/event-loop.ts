const EVERY = 5
/** Timers are this late even on a machine with nothing else to do; ms. */
const USUAL = 2
/** The stretch over which lateness is added up; ms. */
const SPAN = 200

/** How late this process's event loop runs. A check may take that much longer through no fault of the limiter. */
export class EventLoop {
  /** The most lateness beyond the usual within any 200 ms, added up; in milliseconds. */
  heldUp = 0
  private recent: { readonly at: number; readonly late: number }[] = []
  private total = 0
  private due = performance.now() + EVERY
  private timer: NodeJS.Timeout | undefined

  constructor() {
    this.arm()
  }

  private arm(): void {
    this.timer = setTimeout(() => {
      const now = performance.now()
      const late = Math.max(0, now - this.due)
      this.total += late
      this.note(now, late - USUAL)
      this.due = now + EVERY
      this.arm()
    }, EVERY).unref()
  }

  private note(at: number, late: number): void {
    if (late <= 0) return
    this.recent = this.recent.filter((one) => at - one.at < SPAN)
    this.recent.push({ at, late })
    this.heldUp = Math.max(
      this.heldUp,
      this.recent.reduce((sum, one) => sum + one.late, 0),
    )
  }

  restart(): void {
    this.heldUp = 0
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  /** Milliseconds of delay so far; the difference of two calls is the delay between them. */
  lateness(): number {
    return this.total + Math.max(0, performance.now() - this.due)
  }
}
