import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

it.each(['deny', 'allow', 'local'] as const)(
  'a soft limiter that settles each ten minutes hears within seconds that its store is back: %s',
  async (onOutage) => {
    const clock = new ManualClock(1_000_000)
    const store = faultyStore(memoryStore({ clock }), { clock, latency: 1 })
    const limiter = createLimiter({
      ...{ name: 'api', limit: fixedWindow({ limit: 10, window: '1h' }), store, clock, random: () => 0.5 },
      ...{ mode: 'soft', onOutage, sync: { interval: '10m' } },
    })
    void limiter.check('before')
    await clock.advance(1000)
    store.goAway(20_000)
    void limiter.reset('other').catch(() => {})
    await clock.advance(10_000)
    expect(limiter.stats()).toMatchObject({ degraded: true })
    const { storeCalls } = limiter.stats()
    expect(storeCalls).toBeLessThan(15)
    await clock.advance(16_000)
    expect(limiter.stats()).toMatchObject({ degraded: false })
    expect(limiter.checkSync('before')).toMatchObject({ allowed: true, source: 'local' })
    await Promise.all([limiter.close(), clock.advance(1000)])
  },
)
