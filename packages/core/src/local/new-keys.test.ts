import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each([
  [1_000_000, 1],
  [16, 2],
])('of a limit of %i, a key that was not known is settled by command %i', async (limit, commands) => {
  const clock = new ManualClock()
  const limiter = createLimiter({
    name: 'new',
    limit: fixedWindow({ limit, window: '1h' }),
    mode: 'soft',
    store: memoryStore({ clock }),
    clock,
    sync: { interval: '1s' },
  })
  limiter.checkSync('old')
  await clock.advance(5000)
  const { storeCalls } = limiter.stats()
  limiter.checkSync('key', { cost: 2 })
  await clock.advance(1)
  // Read; and settled where two on each node would be much beside what is left.
  expect(limiter.stats()).toMatchObject({
    storeCalls: storeCalls + commands,
    pending: commands === 1 ? 2 : 0,
  })
  await clock.advance(1000)
  expect(limiter.stats().pending).toBe(0)
  await limiter.close()
})
