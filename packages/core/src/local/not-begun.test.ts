import { expect, test } from 'vitest'
import { aheadStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

test('a check that a node took to be in the next window, by a clock that was ahead, is answered once that begins', async () => {
  const clock = new ManualClock(1_000_000)
  const fault = { ahead: 0 }
  const wait = (ms: number) => new Promise<void>((resolve) => clock.setTimer(resolve, ms))
  const store = aheadStore(memoryStore({ clock }), fault, async (table, request) => {
    await wait(1)
    const reply = await table.exchange(request)
    await wait(1)
    return reply
  })
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 100, window: '10s' }),
    mode: 'leased',
    store,
    clock,
    random: () => 0.5,
  })
  const first = limiter.check('key')
  await clock.advance(9970)
  await first
  fault.ahead = 40
  const check = limiter.check('key')
  await clock.advance(200)
  expect(await check).toMatchObject({ allowed: true })
  const closed = limiter.close()
  await clock.advance(1000)
  await closed
})
