import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each(['leased', 'capped', 'soft'] as const)(
  '%s: a check that is refused for what others ahead of it are about to take is told when that is over',
  async (mode) => {
    const clock = new ManualClock(3_600_000)
    const store = farStore(memoryStore({ clock }), async (table, request) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10))
      const reply = await table.exchange(request)
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10))
      return reply
    })
    const modes = {
      leased: { mode: 'leased' },
      capped: { mode: 'soft', sync: { maxOvershoot: 0.1 } },
      soft: { mode: 'soft' },
    } as const
    const limit = fixedWindow({ limit: 10, window: '1h' })
    const limiter = createLimiter({ name: 'api', limit, clock, store, random: () => 0.5, ...modes[mode] })
    const peek = limiter.peek('a')
    await clock.advance(1)
    const checks = [8, 5].map((cost) => limiter.check('a', { cost }))
    await clock.advance(100)
    await peek
    const [first, second] = await Promise.all(checks)
    expect(first).toMatchObject({ allowed: true })
    expect(second).toMatchObject({ allowed: false, reason: 'limit' })
    expect(second?.retryAfterMs).toBeGreaterThan(3_500_000)
    await Promise.all([limiter.close(), clock.advance(10_000)])
  },
)
