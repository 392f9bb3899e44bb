import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, type Store } from '../index.ts'
import { ManualClock } from '../testing.ts'

test('a check that a node took to be in the next window, by a clock that was ahead, is answered once that begins', async () => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  let ahead = 0
  const wait = (ms: number) => new Promise<void>((resolve) => clock.setTimer(resolve, ms))
  const open: Store['open'] = (...names) => {
    const table = memory.open(...names)
    return {
      known: true,
      place: 'memory',
      now: () => table.now() + ahead,
      latest: () => table.latest() + ahead,
      exchange: async (request) => {
        await wait(1)
        const reply = await table.exchange({ ...request, deadline: 0 })
        await wait(1)
        // A quick answer tells the time more exactly.
        ahead = 0
        return reply
      },
    }
  }
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 100, window: '10s' }),
    mode: 'leased',
    store: { open, close: () => memory.close() },
    clock,
    random: () => 0.5,
  })
  const first = limiter.check('key')
  await clock.advance(9970)
  await first
  ahead = 40
  const check = limiter.check('key')
  await clock.advance(200)
  expect(await check).toMatchObject({ allowed: true })
  const closed = limiter.close()
  await clock.advance(1000)
  await closed
})
