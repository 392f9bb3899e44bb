import { expect, inject, it } from 'vitest'
import { createLimiter, type Reservation, slidingLog } from './index.ts'
import { redisStore } from './store/redis/redis-store.ts'

const url = inject('redisUrl')
const ENTRIES = 3000

it('reservations of one long log that are settled at once are not late, since few share a command', async () => {
  const limit = slidingLog({ limit: 1_000_000, window: '1h' })
  let past = Date.now() - 60_000
  const before = redisStore(url, { prefix: 'hot-log', now: () => past })
  const filler = createLimiter({ name: 'api', limit, store: before, timeout: '10s' })
  for (let entry = 0; entry < ENTRIES; entry++) {
    past += 10
    await filler.check('hot')
  }
  await filler.close()
  await before.close()
  const store = redisStore(url, { prefix: 'hot-log' })
  const limiter = createLimiter({ name: 'api', limit, store, timeout: '200ms' })
  const calls: Reservation[] = []
  for (let call = 0; call < 1000; call++) calls.push(await limiter.reserve('hot', 5))
  const told = await Promise.all(calls.map((call) => call.settle(2)))
  expect(told.filter((is) => !is)).toEqual([])
  expect((await limiter.peek('hot')).remaining).toBe(1_000_000 - ENTRIES - 1000 * 2 - 1)
  await limiter.close()
  await store.close()
})
