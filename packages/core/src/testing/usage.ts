import { type Algorithm, isBucket, type Limit } from '../algorithms/algorithm.ts'

/**
 * How much of a limit is in use, by the definition and not by the code under test. Times are the store's, in whole
 * milliseconds, and never go back.
 */
export interface Usage {
  /** Usage at a time. */
  at(now: number): number
  /** Usage less the limit at a time, exactly: above 0 is overshoot. */
  over(now: number): number
  /** A cost was admitted. */
  admit(now: number, cost: number): void
}

/** Cost admitted in the window of the store's clock. */
class FixedWindowUsage implements Usage {
  private window = -1
  private count = 0

  constructor(private readonly limit: Limit) {}

  at(now: number): number {
    return Math.floor(now / this.limit.window) === this.window ? this.count : 0
  }

  over(now: number): number {
    return this.at(now) - this.limit.limit
  }

  admit(now: number, cost: number): void {
    this.count = this.at(now) + cost
    this.window = Math.floor(now / this.limit.window)
  }
}

/** Current + previous × the part of it that a window ending now still covers. */
class SlidingWindowUsage implements Usage {
  private window = -1
  private current = 0
  private previous = 0

  constructor(private readonly limit: Limit) {}

  private roll(now: number): void {
    const window = Math.floor(now / this.limit.window)
    if (window === this.window) return
    this.previous = window === this.window + 1 ? this.current : 0
    this.current = 0
    this.window = window
  }

  /** In parts of 1/window, so that integers hold it exactly. */
  private parts(now: number): number {
    this.roll(now)
    const { window } = this.limit
    return this.current * window + this.previous * ((this.window + 1) * window - now)
  }

  at(now: number): number {
    return this.parts(now) / this.limit.window
  }

  over(now: number): number {
    return (this.parts(now) - this.limit.limit * this.limit.window) / this.limit.window
  }

  admit(now: number, cost: number): void {
    this.roll(now)
    this.current += cost
  }
}

/** Cost in (now − window, now]. */
class SlidingLogUsage implements Usage {
  private readonly times: number[] = []
  private readonly costs: number[] = []
  private first = 0
  private sum = 0

  constructor(private readonly limit: Limit) {}

  at(now: number): number {
    while (this.first < this.times.length && (this.times[this.first] as number) <= now - this.limit.window) {
      this.sum -= this.costs[this.first] as number
      this.first++
    }
    if (this.first > 1000 && 2 * this.first > this.times.length) {
      this.times.splice(0, this.first)
      this.costs.splice(0, this.first)
      this.first = 0
    }
    return this.sum
  }

  over(now: number): number {
    return this.at(now) - this.limit.limit
  }

  admit(now: number, cost: number): void {
    this.at(now)
    this.times.push(now)
    this.costs.push(cost)
    this.sum += cost
  }
}

/** Cost admitted less what has drained, never below 0. */
class BucketUsage implements Usage {
  /** In parts of 1/per, so that integers hold it exactly. */
  private parts = 0
  private moment = 0

  constructor(
    private readonly limit: Limit,
    private readonly rate: number,
    private readonly per: number,
  ) {}

  private drain(now: number): void {
    this.parts = Math.max(0, this.parts - (now - this.moment) * this.rate)
    this.moment = now
  }

  at(now: number): number {
    this.drain(now)
    return this.parts / this.per
  }

  over(now: number): number {
    this.drain(now)
    return (this.parts - this.limit.limit * this.per) / this.per
  }

  admit(now: number, cost: number): void {
    this.drain(now)
    this.parts += cost * this.per
  }
}

/** The refill of a bucket in one `window`; the limit of a window. */
export function quota(limit: Limit): number {
  if (!isBucket(limit)) return limit.limit
  const { rate, per } = bucketNumbers(limit)
  return (limit.window * rate) / per
}

function bucketNumbers(limit: Limit): { rate: number; per: number } {
  const [, , rate, per] = (limit as Algorithm).parameters
  return { rate: rate as number, per: per as number }
}

/** A usage with nothing in use yet. */
export function usageOf(limit: Limit): Usage {
  switch (limit.algorithm) {
    case 'fixed-window':
      return new FixedWindowUsage(limit)
    case 'sliding-window':
      return new SlidingWindowUsage(limit)
    case 'sliding-log':
      return new SlidingLogUsage(limit)
    case 'token-bucket':
    case 'leaky-bucket': {
      const { rate, per } = bucketNumbers(limit)
      return new BucketUsage(limit, rate, per)
    }
  }
}
