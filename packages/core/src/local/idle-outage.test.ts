import { expect, it } from 'vitest'
import { refusingStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
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
    const fault = { isAway: false }
    const memory = memoryStore({ clock })
    const store = refusingStore(memory, fault)
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
    fault.isAway = true
    for (let n = 0; n < 3; n++) await limiter.check('a')
    await limiter.reset('b').catch(() => {})
    await clock.advance(60_000)
    fault.isAway = false
    await clock.advance(6000)
    expect(events).toEqual(['degraded', 'recovered'])
    await limiter.flush()
    expect(limiter.stats()).toMatchObject({ pending: 0, degraded: false })
    fault.isAway = true
    await limiter.check('a')
    await clock.advance(1000)
    const from = clock.monotonic()
    const closing = limiter.close().then(() => clock.monotonic() - from)
    await clock.advance(15_000)
    expect(await closing).toBeLessThan(10_001)
  },
)
