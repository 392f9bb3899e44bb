import { expect, it } from 'vitest'
import { farStore } from '../test/far-store.ts'
import { ConfigError, createLimiter, fixedWindow, memoryStore } from './index.ts'
import { ManualClock } from './testing.ts'

const MODES = ['hard', 'soft', 'leased'] as const
const ASKS = ['check', 'peek', 'reserve', 'acquire'] as const

it.each(
  MODES.flatMap((mode) =>
    ASKS.flatMap((what) =>
      [1, 2].flatMap((limits) => [true, false].map((warm) => ({ mode, what, limits, warm }))),
    ),
  ),
)(
  '$mode: a $what of $limits limits that was begun is allowed, though its limiter and then its store close (key known: $warm)',
  async ({ mode, what, limits, warm }) => {
    const clock = new ManualClock(1_000_000)
    let isClosed = false
    const store = farStore(memoryStore({ clock }), async (table, request) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5))
      const reply = await table.exchange(request)
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5))
      if (isClosed) throw new ConfigError('ERR_CLOSED', 'the store is closed')
      return reply
    })
    const all = [fixedWindow({ limit: 10, window: '1h' }), fixedWindow({ limit: 5, window: '1m' })]
    const limit = all.slice(0, limits)
    const limiter = createLimiter({ name: 'api', limit, mode, store, clock, random: () => 0.5 })
    const before = warm ? limiter.check('key') : undefined
    await clock.advance(3000)
    await before
    const asked = what === 'reserve' ? limiter.reserve('key', 2) : limiter[what]('key')
    const told = asked.catch((error: unknown) => error)
    const closed = limiter.close().then(() => {
      isClosed = true
    })
    await clock.advance(3000)
    await closed
    expect(await told).toMatchObject({ allowed: true })
  },
)
