import type { Report } from '@spillway/core/testing'
import { expect, test } from 'vitest'
import type { Result } from './result.ts'
import { misses } from './targets.ts'

const flawless: Report = {
  windows: 19,
  overshoot: { mean: 0, max: 0, first: 0, cost: 0 },
  ...{ share: 1, shareOfPossible: 1, falseDenials: 0, excessDenials: 0, checks: 1000, unanswered: 0 },
  ...{ callsPerCheck: 0.1, entriesPerCheck: 0.1 },
  waits: { part: 0, median: 0, p99: 0, longest: 0 },
}

function missesOf(report: Partial<Report>, more: Partial<Result> = {}): string[] {
  return misses({
    ...{ scenario: '2', algorithm: 'fixed-window', variant: 'soft', seeds: 1 },
    ...more,
    report: { ...flawless, ...report },
  })
}

const over = (mean: number, max: number, cost = 0) => ({ overshoot: { mean, max, first: 0, cost } })

test('a flawless cell misses nothing in any variant', () => {
  for (const variant of ['baseline', 'soft', 'capped', 'leased', 'hard'] as const)
    expect(missesOf({}, { variant })).toEqual([])
})

test('soft: mean and maximum of the overshoot, and more of it for other algorithms', () => {
  expect(missesOf(over(0.002, 0.01))).toEqual([])
  expect(missesOf(over(0.0021, 0.0101))).toEqual([
    'the mean overshoot is 0.21 %, above 0.2 %',
    'the largest overshoot is 1.01 %, above 1 %',
  ])
  expect(missesOf(over(0.02, 0.025), { algorithm: 'token-bucket' })).toEqual([])
  expect(missesOf(over(0.02, 0.026), { algorithm: 'token-bucket' })).toHaveLength(1)
})

test('share, entries and waits', () => {
  expect(missesOf({ share: 0.9899 })).toEqual(['the share used is 98.99 %, below 99 %'])
  expect(missesOf({ share: 0.98, entriesPerCheck: 0.1 }, { variant: 'leased' })).toEqual([])
  expect(missesOf({ entriesPerCheck: 0.11 })).toEqual(['the part of entries sent is 11 %, above 10 %'])
  const waits = { part: 0.04, median: 1, p99: 3, longest: 50 }
  expect(missesOf({ waits }, { variant: 'capped' })).toEqual([])
  expect(missesOf({ waits })).toHaveLength(2)
  expect(missesOf({ waits: { ...waits, part: 0.041, p99: 3.1 } }, { variant: 'leased' })).toHaveLength(2)
})

test('the bounds hold everywhere, beyond the grid and in the first window too', () => {
  const scenario = 'flash-6'
  expect(missesOf(over(0.04, 0.05, 50), { variant: 'capped', scenario })).toEqual([])
  expect(missesOf(over(0, 0, 51), { variant: 'capped', scenario })).toHaveLength(1)
  expect(missesOf(over(0, 0, 1), { variant: 'leased', scenario })).toEqual([
    'the overshoot of some moment is 1, above 0',
  ])
  // ⌊0.05 × 10⌋
  expect(missesOf(over(0, 0, 1), { variant: 'capped', scenario: 'ten-2-2' })).toHaveLength(1)
  expect(missesOf(over(1, 1, 500), { scenario })).toEqual([])
})

test('false denials count in Poisson traffic near the limit', () => {
  expect(missesOf({ falseDenials: 0.0011 }, { scenario: 'load-0.9-2' })).toHaveLength(1)
  expect(missesOf({ falseDenials: 0.0011 }, { scenario: 'moving-6' })).toEqual([])
})

test('the baseline has no target', () => {
  expect(missesOf(over(1, 1, 1000), { variant: 'baseline' })).toEqual([])
})
