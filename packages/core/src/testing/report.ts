import type { Limit } from '../algorithms/algorithm.ts'
import type { Observations } from './observations.ts'
import { quota, type Usage, usageOf } from './usage.ts'

/**
 * What a simulation showed. A part of 0.5 is a half. Windows are those of the store's clock; for a bucket, stretches as
 * long as it takes to drain. Only whole ones count, and the first, in which nodes are cold, counts by itself.
 */
export interface Report {
  /** Whole windows after the first. */
  readonly windows: number
  readonly overshoot: {
    /** The mean over windows and keys of the most by which usage passed the limit, in parts of the limit. */
    readonly mean: number
    /** The most in any of them. */
    readonly max: number
    /** The most in the first window. */
    readonly first: number
    /** The most ever, as a cost and not as a part. */
    readonly cost: number
  }
  /** Cost admitted, as a part of limit × windows, or of a bucket's refill; at most the limit in each fixed window. */
  readonly share: number
  /** Cost admitted, as a part of what a single limiter that sees every check would have admitted. */
  readonly shareOfPossible: number
  /** Checks denied though there was room, as a part of all checks. */
  readonly falseDenials: number
  /**
   * Checks denied, less those that a single limiter that sees every check would have denied, as a part of all checks:
   * what users lose because there are several nodes. Below 0: more was admitted.
   */
  readonly excessDenials: number
  readonly checks: number
  /** Checks of the whole simulation that ended in an error or were not answered; in none of the other figures. */
  readonly unanswered: number
  /** Commands sent to the store, per check. */
  readonly callsPerCheck: number
  /** Key entries sent in them, per check. */
  readonly entriesPerCheck: number
  /** Waits for the store, in milliseconds; `part` of the checks waited. */
  readonly waits: {
    readonly part: number
    readonly median: number
    readonly p99: number
    readonly longest: number
  }
}

/** One key, replayed in the order of the store's time. */
class Replay {
  /** By window: the most above the limit, and the cost admitted. */
  readonly over: Float64Array
  readonly admitted: Float64Array
  possible = 0
  checks = 0
  falseDenials = 0
  excessDenials = 0
  most = 0
  private readonly usage: Usage
  private readonly ideal: Usage

  constructor(
    private readonly limit: Limit,
    private readonly first: number,
    windows: number,
  ) {
    this.over = new Float64Array(windows)
    this.admitted = new Float64Array(windows)
    this.usage = usageOf(limit)
    this.ideal = usageOf(limit)
  }

  check(at: number, cost: number, allowed: boolean): void {
    const now = Math.floor(at)
    const window = Math.floor(now / this.limit.window) - this.first
    const counts = window > 0 && window < this.over.length
    if (counts) this.checks++
    if (this.ideal.over(now) + cost <= 0) {
      this.ideal.admit(now, cost)
      if (counts) this.possible += cost
    } else if (counts) this.excessDenials--
    if (!allowed) {
      if (counts) this.excessDenials++
      if (counts && this.usage.over(now) + cost <= 0) this.falseDenials++
      return
    }
    this.usage.admit(now, cost)
    const over = this.usage.over(now)
    this.most = Math.max(this.most, over)
    if (window >= this.over.length) return
    this.admitted[window] = (this.admitted[window] as number) + cost
    if (over > (this.over[window] as number)) this.over[window] = over
  }

  /** What was used of the windows after the first. */
  used(): number {
    const atMost = this.limit.algorithm === 'fixed-window' ? this.limit.limit : Infinity
    return this.admitted.subarray(1).reduce((sum, cost) => sum + Math.min(cost, atMost), 0)
  }
}

/** The most by which any key's usage passed the limit, as a cost; 0: never. */
export function mostAbove(seen: Observations, limit: Limit): number {
  let most = 0
  for (const checks of seen.keys.values()) {
    const usage = usageOf(limit)
    checks.each((at, cost, allowed) => {
      if (!allowed) return
      const now = Math.floor(at)
      usage.admit(now, cost)
      most = Math.max(most, usage.over(now))
    })
  }
  return most
}

/** Draws up what was recorded from `start` to `end`, in store time. */
export function report(seen: Observations, limit: Limit, start: number, end: number): Report {
  const first = Math.floor(start / limit.window)
  const windows = Math.floor(end / limit.window) - first
  if (windows < 2) throw new RangeError('a report needs two whole windows: the first is counted by itself')
  const replays = [...seen.keys.values()].map((checks) => {
    const replay = new Replay(limit, first, windows)
    checks.each((at, cost, allowed) => replay.check(at, cost, allowed))
    return replay
  })
  const sum = (part: (replay: Replay) => number) => replays.reduce((all, replay) => all + part(replay), 0)
  const most = (part: (replay: Replay) => number) =>
    replays.reduce((all, replay) => Math.max(all, part(replay)), 0)
  const later = (at: number) => at >= (first + 1) * limit.window && at < (first + windows) * limit.window

  const checks = Math.max(
    1,
    sum((replay) => replay.checks),
  )
  let calls = 0
  let entries = 0
  seen.calls.each((at, count) => {
    if (!later(at)) return
    calls++
    entries += count
  })
  const waits: number[] = []
  seen.waits.each((at, ms) => {
    if (later(at)) waits.push(ms)
  })
  const sorted = Float64Array.from(waits).sort()
  const rank = (part: number) => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0
  const spans = Math.max(1, replays.length) * (windows - 1)
  return {
    windows: windows - 1,
    overshoot: {
      mean: sum(({ over }) => over.subarray(1).reduce((all, cost) => all + cost, 0)) / spans / limit.limit,
      max: most(({ over }) => over.subarray(1).reduce((one, other) => Math.max(one, other), 0)) / limit.limit,
      first: most(({ over }) => over[0] as number) / limit.limit,
      cost: most((replay) => replay.most),
    },
    share: sum((replay) => replay.used()) / spans / quota(limit),
    shareOfPossible:
      sum(({ admitted }) => admitted.subarray(1).reduce((all, cost) => all + cost, 0)) /
      Math.max(
        1,
        sum(({ possible }) => possible),
      ),
    falseDenials: sum(({ falseDenials }) => falseDenials) / checks,
    excessDenials: sum(({ excessDenials }) => excessDenials) / checks,
    checks: sum((replay) => replay.checks),
    unanswered: seen.failed + seen.unanswered,
    callsPerCheck: calls / checks,
    entriesPerCheck: entries / checks,
    waits: {
      part: sorted.length / checks,
      median: rank(0.5),
      p99: rank(0.99),
      longest: sorted.at(-1) ?? 0,
    },
  }
}
