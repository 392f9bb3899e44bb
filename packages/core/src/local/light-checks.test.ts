import { expect, it, vi } from 'vitest'
import { Decision } from '../decision.ts'
import { createLimiter, fixedWindow, slidingWindow, tokenBucket } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMIT = 2_000_000_000
const LIMITS = [
  fixedWindow({ limit: LIMIT, window: '1d' }),
  slidingWindow({ limit: LIMIT, window: '1d' }),
  tokenBucket({ capacity: LIMIT, refill: LIMIT, per: '1h' }),
]
const CHECKS = 2000
const BATCHES = 40
const ROUNDS = 12
/** A share of a clock reading, and less than a promise (40), a closure or a text of two parts (32). */
const ALMOST_NOTHING = 20

/** Kept where V8 must assume that it is read: else it need not make the answer at all. */
let kept: unknown

/**
 * Bytes that a call leaves on the heap: the median over batches, of which some meet a collection, and the least of some
 * rounds: code that is called so often is compiled late, and more than once.
 */
function bytesOf(call: () => unknown): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const batches = Array.from({ length: BATCHES }, () => {
      const before = process.memoryUsage().heapUsed
      for (let done = 0; done < CHECKS; done++) kept = call()
      return (process.memoryUsage().heapUsed - before) / CHECKS
    })
    return batches.sort((one, two) => one - two)[BATCHES / 2] as number
  })
  expect(kept).toBeDefined()
  return Math.min(...rounds)
}

it.each(LIMITS)(
  '$algorithm: a check of a held key leaves a decision on the heap, and no promise, closure or text',
  async (limit) => {
    const limiter = createLimiter({ name: 'api', limit, mode: 'soft' })
    limiter.checkSync('user:1')
    await limiter.flush()
    void bytesOf(() => limiter.checkSync('user:1')) // V8 may change how it keeps a decision's numbers, for good
    const decision = bytesOf(() => new Decision(true, LIMIT, 1, 0, 1, 0, 'local', undefined, undefined))
    const bytes = bytesOf(() => limiter.checkSync('user:1'))
    expect(bytes).toBeGreaterThanOrEqual(decision)
    expect(bytes).toBeLessThan(decision + ALMOST_NOTHING)
    await limiter.close()
  },
)

it.each(['soft', 'leased'] as const)('%s: checks of a held key set no timer', async (mode) => {
  const clock = new ManualClock(0)
  const limiter = createLimiter({ name: 'api', limit: LIMITS[0]!, mode, clock })
  await limiter.check('user:1', { cost: 1000 })
  await limiter.flush()
  const setTimer = vi.spyOn(clock, 'setTimer')
  for (let done = 0; done < 100; done++) expect(limiter.checkSync('user:1').allowed).toBe(true)
  expect(setTimer.mock.calls.length).toBeLessThanOrEqual(1) // the next settlement, for all of them
  await limiter.close()
})
