import { scenarioOf } from './measure.ts'
import type { Result } from './result.ts'
import { grid, ROUND_TRIP } from './scenarios.ts'
import type { variants } from './variants.ts'

const PERCENT = 0.01

/** What a cell of the grid must keep, in parts of the limit or of the checks. */
interface Target {
  readonly mean: number
  readonly max: number
  /** The maximum for algorithms other than the fixed window. */
  readonly otherMax: number
  readonly share: number
  readonly entries: number
  readonly waited: number
  /** In round trips. */
  readonly p99: number
}

/** The targets of a variant; the baseline and hard mode have none. */
const targets: Partial<Record<keyof typeof variants, Target>> = {
  soft: {
    mean: 0.2 * PERCENT,
    max: 1 * PERCENT,
    otherMax: 2.5 * PERCENT,
    share: 99 * PERCENT,
    entries: 10 * PERCENT,
    waited: 0,
    p99: 0,
  },
  capped: {
    mean: 0.3 * PERCENT,
    max: 1.5 * PERCENT,
    otherMax: 5 * PERCENT,
    share: 98 * PERCENT,
    entries: 10 * PERCENT,
    waited: 4 * PERCENT,
    p99: 3,
  },
  leased: {
    mean: 0,
    max: 0,
    otherMax: 0,
    share: 98 * PERCENT,
    entries: 10 * PERCENT,
    waited: 4 * PERCENT,
    p99: 3,
  },
}

/** The overshoot that no scenario and window may pass, in parts of the limit. */
const bounds: Partial<Record<keyof typeof variants, number>> = { capped: 5 * PERCENT, leased: 0, hard: 0 }

/** The most false denials in Poisson traffic near the limit. */
const FALSE_DENIALS = 0.1 * PERCENT

/** The targets that a cell misses, each as a sentence. */
export function misses(result: Result): string[] {
  const { report, variant } = result
  const scenario = scenarioOf(result)
  const missed: string[] = []
  const atMost = (what: string, value: number, most: number, unit: string, factor: number) => {
    if (value > most + 1e-12)
      missed.push(
        `${what} is ${+(value * factor).toPrecision(3)}${unit}, above ${+(most * factor).toPrecision(3)}${unit}`,
      )
  }
  const bound = bounds[variant]
  if (bound !== undefined)
    atMost('the overshoot of some moment', report.overshoot.cost, Math.floor(bound * scenario.limit), '', 1)
  const target = targets[variant]
  if (target === undefined) return missed
  if (scenario.id.startsWith('load-'))
    atMost('the part of false denials', report.falseDenials, FALSE_DENIALS, ' %', 100)
  if (!grid.includes(scenario)) return missed
  const fixed = result.algorithm === 'fixed-window'
  if (fixed) atMost('the mean overshoot', report.overshoot.mean, target.mean, ' %', 100)
  atMost('the largest overshoot', report.overshoot.max, fixed ? target.max : target.otherMax, ' %', 100)
  if (report.share < target.share)
    missed.push(`the share used is ${(report.share * 100).toFixed(2)} %, below ${target.share * 100} %`)
  atMost('the part of entries sent', report.entriesPerCheck, target.entries, ' %', 100)
  atMost('the part of checks that waited', report.waits.part, target.waited, ' %', 100)
  atMost('the 99th percentile of waits', report.waits.p99 / ROUND_TRIP, target.p99, ' round trips', 1)
  return missed
}
