const EVERY = 5

/** How late this process's event loop runs: what a check may take longer through no fault of the limiter. */
export class EventLoop {
  longest = 0
  private total = 0
  private due = performance.now() + EVERY
  private timer: NodeJS.Timeout | undefined

  constructor() {
    this.arm()
  }

  private arm(): void {
    this.timer = setTimeout(() => {
      const late = Math.max(0, performance.now() - this.due)
      this.total += late
      this.longest = Math.max(this.longest, late)
      this.due = performance.now() + EVERY
      this.arm()
    }, EVERY).unref()
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  /** Milliseconds of delay so far; the difference of two calls is the delay between them. */
  lateness(): number {
    return this.total + Math.max(0, performance.now() - this.due)
  }
}
