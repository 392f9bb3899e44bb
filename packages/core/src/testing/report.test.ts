import { expect, test } from 'vitest'
import { fixedWindow, tokenBucket } from '../index.ts'
import { Observations } from './observations.ts'
import { mostAbove, report } from './report.ts'

const START = 1_800_000_000_000
const limit = fixedWindow({ limit: 10, window: 100 })

function seen(checks: [at: number, cost: number, allowed: boolean][], key = 'key', all = new Observations()) {
  for (const [at, cost, allowed] of checks) all.check(key, START + at, cost, allowed)
  return all
}

test('overshoot, share and false denials are those of the windows after the first', () => {
  const all = seen([
    [50, 15, true],
    [150, 9, true],
    [160, 4, true],
    [170, 1, false],
    [250, 8, true],
    [260, 2, false],
    [270, 3, false],
    [350, 1, true],
    [399.5, 1, true],
  ])
  // the fourth window is not over
  const { windows, overshoot, share, shareOfPossible, falseDenials, excessDenials, checks } = report(
    all,
    limit,
    START,
    START + 350,
  )
  expect(windows).toBe(2)
  expect(overshoot).toEqual({ mean: 0.15, max: 0.3, first: 0.5, cost: 5 })
  expect(share).toBeCloseTo((10 + 8) / 20)
  // one that sees all would admit 9 + 1 and 8 + 2
  expect(shareOfPossible).toBeCloseTo((13 + 8) / 20)
  // the cost of 2 had room, that of 3 had not
  expect(falseDenials).toBeCloseTo(1 / 6)
  // three were denied; one that sees all would have denied the cost of 4 and that of 3
  expect(excessDenials).toBeCloseTo(1 / 6)
  expect(checks).toBe(6)
})

test('checks are judged in the order of the store’s time, not of their answers', () => {
  const all = seen([
    [150, 5, true],
    [199.9, 5, true],
    [200.1, 10, true],
    [199.8, 1, true],
  ])
  expect(mostAbove(all, limit)).toBe(1)
  expect(report(all, limit, START, START + 300).overshoot).toMatchObject({ mean: 0.05, max: 0.1, cost: 1 })
})

test('each key counts by itself', () => {
  const all = seen([[150, 12, true]])
  seen([[150, 8, true]], 'other', all)
  const { overshoot, share } = report(all, limit, START, START + 200)
  expect(overshoot).toMatchObject({ mean: 0.1, max: 0.2 })
  expect(share).toBeCloseTo(0.9)
})

test('a bucket’s share is of what it refills', () => {
  const bucket = tokenBucket({ capacity: 10, refill: 1, per: 10 })
  const all = seen([
    [99, 10, true],
    [150, 5, true],
    [199, 4, true],
  ])
  const { share, overshoot } = report(all, bucket, START, START + 200)
  expect(share).toBeCloseTo(0.9)
  expect(overshoot.cost).toBe(0)
})

test('calls, entries and waits are those of the same windows', () => {
  const all = seen([
    [150, 1, true],
    [160, 1, true],
    [170, 1, true],
    [180, 1, true],
  ])
  for (const [at, entries] of [
    [50, 7],
    [150, 2],
    [151, 0],
    [250, 9],
  ] as const)
    all.calls.note(START + at, entries)
  for (const [at, ms] of [
    [50, 99],
    [150, 3],
    [160, 1],
  ] as const)
    all.waits.note(START + at, ms)
  expect(report(all, limit, START, START + 200)).toMatchObject({
    callsPerCheck: 2 / 4,
    entriesPerCheck: 2 / 4,
    waits: { part: 2 / 4, median: 1, p99: 3, longest: 3 },
  })
})

test('one window is too few: it would be the first', () => {
  expect(() => report(new Observations(), limit, START, START + 199)).toThrow(RangeError)
})
