import { expect, it } from 'vitest'
import { slowStore } from '../test/slow-store.ts'
import { createLimiter, fixedWindow } from './index.ts'
import { ManualClock } from './testing.ts'

it('no more than so many verbs wait for a store that is slower than they come', async () => {
  const clock = new ManualClock(1_000_000)
  const store = slowStore(clock, () => 20)
  const limit = fixedWindow({ limit: 100, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, store, clock, timeout: '100ms', random: () => 0.5 })
  const told = Promise.all(Array.from({ length: 110_000 }, (_, at) => limiter.penalty(`key-${at % 100}`)))
  await clock.advance(10_000)
  // 4 were under way, and the rest waited.
  expect((await told).filter((is) => !is)).toHaveLength(110_000 - 100_004)
  expect(limiter.stats().degraded).toBe(false)
  const another = limiter.penalty('key')
  await clock.advance(100)
  expect(await another).toBe(true)
  await limiter.close()
})
