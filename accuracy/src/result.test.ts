import type { Report } from '@spillway/core/testing'
import { expect, test } from 'vitest'
import type { Measurement } from './measure.ts'
import { inPlaceOf, results } from './result.ts'

function measurement(scenario: string, seed: number, value: number): Measurement {
  const report: Report = {
    windows: 19,
    overshoot: { mean: value, max: value, first: value, cost: value },
    ...{
      share: value,
      shareOfPossible: value,
      falseDenials: value,
      excessDenials: value,
      checks: value,
      unanswered: value,
    },
    ...{ callsPerCheck: value, entriesPerCheck: value },
    waits: { part: value, median: value, p99: value, longest: value },
  }
  const job = { scenario, algorithm: 'fixed-window', variant: 'soft', seed, windows: 20 } as const
  return { job, report, seconds: 1 }
}

test('seeds come together: means of what is a mean, the most of what is a maximum', () => {
  const [one, other] = results([measurement('1', 1, 1), measurement('2', 1, 9), measurement('1', 2, 4)])
  expect(other).toMatchObject({ scenario: '2', seeds: 1, report: { share: 9 } })
  expect(one).toEqual({
    ...{ scenario: '1', algorithm: 'fixed-window', variant: 'soft', seeds: 2 },
    report: {
      windows: 19,
      overshoot: { mean: 2.5, max: 4, first: 4, cost: 4 },
      ...{
        share: 2.5,
        shareOfPossible: 2.5,
        falseDenials: 2.5,
        excessDenials: 2.5,
        checks: 2.5,
        unanswered: 2.5,
      },
      ...{ callsPerCheck: 2.5, entriesPerCheck: 2.5 },
      waits: { part: 2.5, median: 2.5, p99: 4, longest: 4 },
    },
  })
})

test('a cell that was measured again takes the place of what it was, in the order of a full run', () => {
  const earlier = results([measurement('2', 1, 1), measurement('load-0.7-2', 1, 1), measurement('3', 1, 1)])
  const later = results([measurement('3', 1, 7), measurement('1', 1, 7)])
  const cells = inPlaceOf(earlier, later)
  expect(cells.map(({ scenario }) => scenario)).toEqual(['1', '2', '3', 'load-0.7-2'])
  expect(cells.map(({ report }) => report.share)).toEqual([7, 1, 7, 1])
})
