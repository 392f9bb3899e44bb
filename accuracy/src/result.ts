import type { Report } from '@spillway/core/testing'
import { type AlgorithmName, algorithmNames } from './algorithms.ts'
import type { Measurement } from './measure.ts'
import { beyond, grid } from './scenarios.ts'
import { type VariantName, variantNames } from './variants.ts'

/** A cell of the tables: a scenario with an algorithm in a variant, over all its seeds. */
export interface Result {
  readonly scenario: string
  readonly algorithm: AlgorithmName
  readonly variant: VariantName
  readonly seeds: number
  /** Means over the seeds; for the most and the longest, the largest of all seeds. */
  readonly report: Report
}

/** The results by cell, in the order in which cells first appear. */
export function results(measurements: readonly Measurement[]): Result[] {
  const cells = new Map<string, Measurement[]>()
  for (const measurement of measurements) {
    const cell = cellOf(measurement.job)
    cells.set(cell, [...(cells.get(cell) ?? []), measurement])
  }
  return [...cells.values()].map((cell) => {
    const { scenario, algorithm, variant } = (cell[0] as Measurement).job
    return {
      scenario,
      algorithm,
      variant,
      seeds: cell.length,
      report: together(cell.map(({ report }) => report)),
    }
  })
}

/** The earlier results, with those of the same cells replaced by the later ones; in the order of a full run. */
export function inPlaceOf(earlier: readonly Result[], later: readonly Result[]): Result[] {
  const cells = new Map([...earlier, ...later].map((result) => [cellOf(result), result]))
  const order = [...grid, ...beyond].map(({ id }) => id)
  const place = ({ scenario, algorithm, variant }: Result) =>
    (order.indexOf(scenario) * algorithmNames.length + algorithmNames.indexOf(algorithm)) *
      variantNames.length +
    variantNames.indexOf(variant)
  return [...cells.values()].sort((one, other) => place(one) - place(other))
}

function cellOf({
  scenario,
  algorithm,
  variant,
}: Pick<Result, 'scenario' | 'algorithm' | 'variant'>): string {
  return `${scenario} ${algorithm} ${variant}`
}

function together(reports: readonly Report[]): Report {
  const mean = (part: (report: Report) => number) =>
    reports.reduce((sum, report) => sum + part(report), 0) / reports.length
  const most = (part: (report: Report) => number) => Math.max(...reports.map(part))
  return {
    windows: (reports[0] as Report).windows,
    overshoot: {
      mean: mean(({ overshoot }) => overshoot.mean),
      max: most(({ overshoot }) => overshoot.max),
      first: most(({ overshoot }) => overshoot.first),
      cost: most(({ overshoot }) => overshoot.cost),
    },
    share: mean(({ share }) => share),
    shareOfPossible: mean(({ shareOfPossible }) => shareOfPossible),
    falseDenials: mean(({ falseDenials }) => falseDenials),
    excessDenials: mean(({ excessDenials }) => excessDenials),
    checks: mean(({ checks }) => checks),
    unanswered: mean(({ unanswered }) => unanswered),
    callsPerCheck: mean(({ callsPerCheck }) => callsPerCheck),
    entriesPerCheck: mean(({ entriesPerCheck }) => entriesPerCheck),
    waits: {
      part: mean(({ waits }) => waits.part),
      median: mean(({ waits }) => waits.median),
      p99: most(({ waits }) => waits.p99),
      longest: most(({ waits }) => waits.longest),
    },
  }
}
