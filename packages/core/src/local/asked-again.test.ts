import { expect, test } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, fixedWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

test('a check whose answer comes in time is not given up with one that waits for its second answer', async () => {
  const clock = new ManualClock(1_000_000)
  const store = slowStore(clock, () => 30)
  const limit = fixedWindow({ limit: 100, window: '10s' })
  const limiter = createLimiter({
    name: 'api',
    limit,
    mode: 'leased',
    store,
    clock,
    timeout: '100ms',
    random: () => 0.5,
  })
  const warm = limiter.check('warm')
  await clock.advance(1000)
  await warm
  await clock.advance(8950)
  // Its answer comes over the window's end: it asks again.
  void limiter.check('a')
  await clock.advance(35)
  void limiter.check('c')
  await clock.advance(5)
  const fresh = limiter.check('b')
  await clock.advance(300)
  expect(await fresh).toMatchObject({ allowed: true, source: 'local' })
  const closed = limiter.close()
  await clock.advance(1000)
  await closed
})
