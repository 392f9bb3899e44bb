import { expect, it } from 'vitest'
import { farStore } from '../test/far-store.ts'
import { createLimiter, memoryStore, slidingLog } from './index.ts'
import { ManualClock } from './testing.ts'

it('verbs that wait while the store goes away fail together, and not one by one', async () => {
  const clock = new ManualClock(1_000_000)
  const store = farStore(memoryStore({ clock }), () => new Promise(() => {}))
  const limit = slidingLog({ limit: 100, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, store, clock, random: () => 0.5, onOutage: 'throw' })
  const told = Promise.allSettled(Array.from({ length: 1000 }, (_, at) => limiter.penalty(`key-${at}`)))
  await clock.advance(1000)
  const errors = (await told).map((its) => its.status === 'rejected' && its.reason)
  expect(errors.every((error) => error instanceof Error)).toBe(true)
  // Each of those under way has one of its own.
  expect(new Set(errors).size).toBeLessThanOrEqual(4 + 4 + 1)
  await limiter.close()
})
