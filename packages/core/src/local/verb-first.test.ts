import { expect, it } from 'vitest'
import { refusingStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMIT = fixedWindow({ limit: 10, window: '1h' })

it.each([
  ['soft, deny', { mode: 'soft', onOutage: 'deny' }],
  ['soft, allow', { mode: 'soft', onOutage: 'allow' }],
  ['soft, local', { mode: 'soft' }],
  ['leased', { mode: 'leased' }],
  ['capped', { mode: 'soft', sync: { maxOvershoot: 0.1 }, onOutage: 'deny' }],
] as const)(
  '%s: a limiter that met an outage with a verb, before it had any keys, hears that the store is back',
  async (_, more) => {
    const clock = new ManualClock(1_000_000)
    const fault = { isAway: true }
    const memory = memoryStore({ clock })
    const store = refusingStore(memory, fault)
    const limiter = createLimiter({ name: 'api', limit: LIMIT, clock, store, random: () => 0.5, ...more })
    await limiter.reset('a').catch(() => {})
    await clock.advance(0)
    expect(limiter.stats()).toMatchObject({ degraded: true })
    fault.isAway = false
    await clock.advance(6000)
    expect(limiter.stats()).toMatchObject({ degraded: false })
    expect(await limiter.check('a')).not.toMatchObject({ source: 'outage' })
    await limiter.close()
  },
)
