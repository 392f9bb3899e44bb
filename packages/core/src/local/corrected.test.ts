import { expect, it } from 'vitest'
import { learningStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each([
  ['a fixed window', fixedWindow({ limit: 10, window: '1s' }), 1100, 10],
  ['a sliding window', slidingWindow({ limit: 10, window: '1s' }), 2100, 10],
  ['a sliding window, a tenth of which still counts', slidingWindow({ limit: 10, window: '1s' }), 1900, 9],
] as const)(
  'what was admitted before the store’s time was known is not in the way once that of %s is over',
  async (_, limit, ms, free) => {
    const clock = new ManualClock(1_000_000)
    let isLost = true
    const store = learningStore(memoryStore({ clock }), clock, (table, request) =>
      isLost ? new Promise(() => {}) : table.exchange(request),
    )
    const options = {
      name: 'api',
      limit,
      clock,
      store,
      random: () => 0.5,
      sync: { interval: '10s' },
    } as const
    const limiter = createLimiter({ ...options, mode: 'soft' })
    for (let n = 0; n < 10; n++) expect(limiter.checkSync('a').allowed).toBe(true)
    await clock.advance(ms)
    isLost = false
    await limiter.check('b')
    isLost = true
    let allowed = 0
    for (let n = 0; n < 10; n++) if (limiter.checkSync('a').allowed) allowed++
    expect(allowed).toBe(free)
    isLost = false
    await Promise.all([limiter.close(), clock.advance(20_000)])
  },
)
