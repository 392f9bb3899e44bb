import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Algorithm, Limit } from '../algorithms/algorithm.ts'
import { fixedWindow, leakyBucket, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import { quota, usageOf } from './usage.ts'

const limits: [string, Limit][] = [
  ['fixed window', fixedWindow({ limit: 20, window: 100 })],
  ['sliding window', slidingWindow({ limit: 20, window: 100 })],
  ['sliding log', slidingLog({ limit: 20, window: 100 })],
  ['token bucket', tokenBucket({ capacity: 20, refill: 7, per: 30 })],
  ['leaky bucket', leakyBucket({ capacity: 20, leak: 3, per: 11 })],
]

const history = fc.array(
  fc.record({
    after: fc.oneof(fc.nat(5), fc.nat(150)),
    cost: fc.integer({ min: 1, max: 12 }),
    admit: fc.boolean(),
  }),
  { maxLength: 60 },
)

test.each(limits)(
  '%s: the definition and the algorithm agree on what is in use, past the limit too',
  (_, limit) => {
    const algorithm = limit as Algorithm
    fc.assert(
      fc.property(history, (steps) => {
        const usage = usageOf(limit)
        const state = algorithm.create()
        let now = 1_800_000_000_000
        for (const { after, cost, admit } of steps) {
          now += after
          // plus 0: rounding up makes −0 of what is just below
          const over = Math.ceil(usage.over(now)) + 0
          expect(over).toBe(algorithm.usage(state, now) - limit.limit)
          expect(Math.ceil(usage.at(now))).toBe(algorithm.usage(state, now))
          const copy = Object.assign(algorithm.create() as object, structuredClone(state))
          const { allowed } = algorithm.take(copy, now, cost, 'local', true)
          expect(usage.over(now) + cost <= 0).toBe(allowed)
          if (!admit) continue
          usage.admit(now, cost)
          const entries = limit.algorithm === 'sliding-log' ? [now, cost] : undefined
          algorithm.settle(state, now, 0, cost, entries)
        }
      }),
    )
  },
)

test('a quota is the limit of a window, and what a bucket refills while it drains', () => {
  expect(quota(fixedWindow({ limit: 5, window: '1s' }))).toBe(5)
  // 10 tokens at 3 a second drain in 3,334 whole milliseconds
  expect(quota(tokenBucket({ capacity: 10, refill: 3, per: '1s' }))).toBeCloseTo(10.002, 9)
})
