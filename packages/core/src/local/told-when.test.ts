import { expect, test } from 'vitest'
import { createLimiter, leakyBucket, memoryStore, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import { ManualClock } from '../testing.ts'

const WINDOW = 700

const limits = [1, 2, 3, 7].flatMap((limit) => [
  slidingWindow({ limit, window: WINDOW }),
  slidingLog({ limit, window: WINDOW }),
  tokenBucket({ capacity: limit, refill: limit, per: WINDOW }),
  leakyBucket({ capacity: limit, leak: limit, per: WINDOW }),
])
const cases = [undefined, { maxOvershoot: 0.3 }].flatMap((sync) =>
  limits.map((limit) => ({
    limit,
    algorithm: limit.algorithm,
    most: limit.limit,
    mode: sync ? ('soft' as const) : ('leased' as const),
    sync,
  })),
)

test.each(cases)('a $mode node alone admits of $most when it said it would: $algorithm', async (given) => {
  const { limit, mode, sync } = given
  const clock = new ManualClock(1_000_000_123)
  const store = memoryStore({ clock })
  const limiter = createLimiter({ name: 'api', limit, mode, sync, store, clock, random: () => 0.5 })
  const check = async () => {
    const decision = limiter.check('key')
    await clock.advance(0)
    return decision
  }
  let broken = 0
  for (let turn = 0; turn < 40; turn++) {
    let decision = await check()
    while (decision.allowed) decision = await check()
    // Who comes before the time is refused, and puts nobody off.
    if (turn % 2 === 1) {
      await clock.advance(Math.floor(decision.retryAfterMs / 2))
      decision = await check()
    }
    await clock.advance(decision.retryAfterMs)
    if (!(await check()).allowed) broken++
  }
  expect(broken).toBe(0)
  await limiter.close()
})
