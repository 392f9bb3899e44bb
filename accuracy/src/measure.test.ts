import { describe, expect, test } from 'vitest'
import { type Job, measure } from './measure.ts'
import { beyond, grid } from './scenarios.ts'

function job(more: Partial<Job>): Job {
  return { scenario: '2', algorithm: 'fixed-window', variant: 'baseline', seed: 1, windows: 6, ...more }
}

test('a run is the same each time, and another with another seed', async () => {
  const reports = await Promise.all([
    measure(job({})).then(({ report }) => report),
    measure(job({})).then(({ report }) => report),
    measure(job({ seed: 2 })).then(({ report }) => report),
  ])
  expect(reports[0]).toEqual(reports[1])
  expect(reports[0]).not.toEqual(reports[2])
})

test('a fixed interval goes over by about as much as in the prototype', async () => {
  for (const [scenario, prototype] of [
    ['1', 0.15],
    ['2', 0.19],
    ['6', 1],
    ['7', 0.18],
  ] as const) {
    const { report } = await measure(job({ scenario }))
    expect(report.overshoot.mean / prototype).toBeGreaterThan(0.75)
    expect(report.overshoot.mean / prototype).toBeLessThan(1.25)
    expect(report.waits.part).toBe(0)
  }
})

describe.each(['fixed-window', 'sliding-window', 'sliding-log', 'token-bucket', 'leaky-bucket'] as const)(
  '%s',
  (algorithm) => {
    test('hard mode is never above, and misses nothing of what is possible', async () => {
      const { report } = await measure(job({ algorithm, variant: 'hard', windows: 4 }))
      expect(report.overshoot).toEqual({ mean: 0, max: 0, first: 0, cost: 0 })
      expect(report.shareOfPossible).toBeGreaterThan(0.999)
      expect(report).toMatchObject({ falseDenials: 0, entriesPerCheck: expect.closeTo(1, 2) })
    })
  },
)

test.each([...grid, ...beyond].filter(({ id }) => id !== '8').map(({ id }) => id))(
  'scenario %s has the traffic it says',
  async (id) => {
    const scenario = [...grid, ...beyond].find((other) => other.id === id)!
    const windows = 5
    const { report } = await measure(job({ scenario: id, windows }))
    const mean = (shape: (windows: number) => number) => {
      const steps = Array.from({ length: 4000 }, (_, step) => 1 + step / 1000)
      return steps.reduce((sum, at) => sum + shape(at), 0) / steps.length
    }
    const expected = (windows - 1) * scenario.limit * scenario.load * mean(scenario.shape?.at ?? (() => 1))
    expect(Math.abs(report.checks - expected)).toBeLessThan(5 * Math.sqrt(expected) + 1)
  },
)
