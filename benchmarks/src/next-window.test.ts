import { expect, test } from 'vitest'
import { untilBegun, windowBeginningIn } from './next-window.ts'

const DAY_MS = 86_400_000

test.each([1_000_000_000_000, 1_795_950_000_123, 2_500_000_000_000])(
  'a long window begins when it should: now %i',
  (now) => {
    for (const delay of [1000, 3333, 15_500]) {
      const { length, begins } = windowBeginningIn(delay, now)
      expect(begins % length).toBe(0)
      expect(Math.abs(begins - now - delay)).toBeLessThanOrEqual(20)
      expect(length).toBeGreaterThan(DAY_MS)
      expect(2 * length).toBeLessThan(2 ** 31)
    }
  },
)

test('one that has begun is told', async () => {
  await expect(untilBegun(windowBeginningIn(100))).rejects.toThrow('too long')
})

test('waits until it has begun', async () => {
  const next = windowBeginningIn(400)
  await untilBegun(next)
  expect(Date.now()).toBeGreaterThan(next.begins)
})
