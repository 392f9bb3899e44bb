import { expect, it } from 'vitest'
import { BOOKING } from '../../test/modes.ts'
import { createLimiter, type Limit, memoryStore, slidingLog, slidingWindow } from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

// Turns are seconds long at most. A key that comes to each node less often than that is told nothing by them.

const LIMITS: Record<string, Limit> = {
  'sliding window': slidingWindow({ limit: 5, window: '1m' }),
  'sliding log': slidingLog({ limit: 5, window: '1m' }),
}

it.each(
  Object.keys(BOOKING).flatMap((mode) =>
    Object.keys(LIMITS).flatMap((name) => [2, 4, 8].map((count) => [mode, name, count] as const)),
  ),
)('%s, %s, %i nodes: what hard mode admits passes, whichever node is asked', async (mode, name, count) => {
  const limit = LIMITS[name] as Limit
  const clock = new ManualClock(1_000_003)
  const store = memoryStore({ clock })
  const random = seededRandom(1)
  const all = Array.from({ length: count }, () =>
    createLimiter({ name: 'api', limit, store, clock, random, ...BOOKING[mode as keyof typeof BOOKING] }),
  )
  const model = createLimiter({ name: 'model', limit, store: memoryStore({ clock }), clock })
  const traffic = seededRandom(9)
  let possible = 0
  let refused = 0
  for (let turn = 0; turn < 150; turn++) {
    const node = all[Math.floor(traffic() * count)]
    const isAllowed = (await node?.check('a'))?.allowed
    if ((await model.check('a')).allowed) {
      possible++
      if (!isAllowed) refused++
    }
    await clock.advance(13_300 * (0.9 + 0.25 * traffic()))
  }
  expect(refused / possible).toBeLessThan(0.02)
  await Promise.all([...all, model].map((limiter) => limiter.close()))
})
