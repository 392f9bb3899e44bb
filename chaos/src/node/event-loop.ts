const EVERY = 5
/** Timers are as late as this on a machine with nothing else to do. */
const USUAL = 2
/** What the lateness is added up over. */
const SPAN = 200

/** How late this process's event loop runs: what a check may take longer through no fault of the limiter. */
export class EventLoop {
  /** The most that it was later than usual within any 200 ms, in milliseconds: all of it together. */
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
