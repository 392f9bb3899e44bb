import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

test('a check that waits for quota while its limiter closes is answered, and the store is not asked again and again', async () => {
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 10, window: '1h' }),
    mode: 'leased',
    store: faultyStore(memoryStore({ clock }), { clock, latency: 1 }),
    clock,
    random: () => 0.5,
  })
  let answer: unknown
  void limiter.check('key').then((decision) => {
    answer = decision
  })
  void limiter.close()
  await clock.advance(50)
  expect(answer).toMatchObject({ allowed: false, reason: 'sync' })
  expect(limiter.stats().storeCalls).toBeLessThanOrEqual(2)
})
