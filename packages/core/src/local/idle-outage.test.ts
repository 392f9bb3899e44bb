import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, StoreError } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each([
  ['soft', '200ms'],
  ['leased', '200ms'],
  ['soft', '10m'],
  ['leased', '10m'],
] as const)(
  '%s, %s: without traffic a node hears that the store is back, and settles',
  async (mode, interval) => {
    const clock = new ManualClock(1_000_000)
    let isAway = false
    const memory = memoryStore({ clock })
    const store = farStore(memory, (table, request) =>
      isAway ? Promise.reject(new StoreError('ERR_STORE_AWAY', 'away')) : table.exchange(request),
    )
    const limit = fixedWindow({ limit: 10, window: '1h' })
    const limiter = createLimiter({
      name: 'api',
      limit,
      mode,
      clock,
      store,
      sync: { interval },
      random: () => 0.5,
    })
    const events: string[] = []
    limiter.on('degraded', () => events.push('degraded'))
    limiter.on('recovered', () => events.push('recovered'))
    await limiter.check('a')
    await clock.advance(1000)
    await limiter.check('a')
    isAway = true
    for (let n = 0; n < 3; n++) await limiter.check('a')
    await limiter.reset('b').catch(() => {})
    await clock.advance(60_000)
    isAway = false
    await clock.advance(6000)
    expect(events).toEqual(['degraded', 'recovered'])
    await limiter.flush()
    expect(limiter.stats()).toMatchObject({ pending: 0, degraded: false })
    isAway = true
    await limiter.check('a')
    await clock.advance(1000)
    const from = clock.monotonic()
    const closing = limiter.close().then(() => clock.monotonic() - from)
    await clock.advance(15_000)
    expect(await closing).toBeLessThan(10_001)
  },
)
