import { expect, it } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  type LimiterOptions,
  leakyBucket,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from './index.ts'
import { ManualClock } from './testing.ts'

// A refused check takes nothing, so when the full quota is back does not depend on what it would have taken.

const LIMITS: Limit[] = [
  fixedWindow({ limit: 10, window: '10s' }),
  slidingWindow({ limit: 10, window: '10s' }),
  slidingLog({ limit: 10, window: '10s' }),
  tokenBucket({ capacity: 10, refill: 10, per: '10s' }),
  leakyBucket({ capacity: 10, leak: 10, per: '10s' }),
]

it.each(
  ['hard', 'soft', 'leased'].flatMap((mode) =>
    LIMITS.map((limit) => [mode, limit.algorithm, limit] as const),
  ),
)('%s, %s: what a blocked key is told of its reset is without what was refused', async (mode, _, limit) => {
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({ name: 'api', limit, mode, clock } as LimiterOptions)
  await limiter.block('unused', 500)
  for (const cost of [1, 8, 11])
    expect((await limiter.check('unused', { cost })).resetAfterMs, `${cost}`).toBe(500)
  await limiter.check('used', { cost: 2 })
  await clock.advance(100)
  await limiter.block('used', 1)
  const { resetAfterMs } = await limiter.check('used')
  expect((await limiter.check('used', { cost: 8 })).resetAfterMs).toBe(resetAfterMs)
  await limiter.reset('used')
  await limiter.close()
})
