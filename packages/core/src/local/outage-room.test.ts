import { expect, it } from 'vitest'
import { farStore, refusingStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, StoreError, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each([
  ['fixed window', fixedWindow({ limit: 10, window: '1s' }), 300],
  ['sliding window', slidingWindow({ limit: 10, window: '1s' }), 250],
])(
  'in an outage there is room for new keys as long as those of windows that still count leave some: %s',
  async (_, limit, each) => {
    const clock = new ManualClock(1_000_000)
    const fault = { isAway: false }
    const store = refusingStore(memoryStore({ clock }), fault)
    const limiter = createLimiter({
      ...{ name: 'api', limit, mode: 'soft', clock, store, maxKeys: 1000, random: () => 0.5 },
      sync: { interval: '200ms' },
    })
    await limiter.check('first')
    fault.isAway = true
    let refused = 0
    for (let at = 0; at < 60_000; at += 100) {
      for (let n = 0; n < each / 10; n++) if (!(await limiter.check(`key-${at}-${n}`)).allowed) refused++
      await clock.advance(100)
    }
    expect(limiter.stats().keys).toBeLessThan(2000)
    expect(refused).toBe(0)
    fault.isAway = false
    await clock.advance(10_000)
    expect(limiter.stats()).toMatchObject({ degraded: false, pending: 0 })
    await limiter.close()
  },
)

it('in a long outage in which answers are lost, keys that may be counted in the store make room once their windows are over', async () => {
  const clock = new ManualClock(1_000_000)
  let isAway = false
  const store = farStore(memoryStore({ clock }), (table, request) =>
    isAway
      ? Promise.reject(new StoreError('ERR_STORE_TIMEOUT', 'lost', { uncertain: true }))
      : table.exchange(request),
  )
  const limiter = createLimiter({
    ...{ name: 'api', limit: fixedWindow({ limit: 10, window: '1s' }), mode: 'soft', clock, store },
    ...{ maxKeys: 1000, random: () => 0.5, sync: { interval: '200ms' } },
  })
  await limiter.check('first')
  isAway = true
  let refused = 0
  for (let at = 0; at < 120_000; at += 100) {
    for (let n = 0; n < 30; n++) if (!limiter.checkSync(`key-${at}-${n}`).allowed) refused++
    await clock.advance(100)
  }
  expect(refused).toBe(0)
  expect(limiter.stats().keys).toBeLessThan(1000)
  isAway = false
  await clock.advance(10_000)
  expect(limiter.stats()).toMatchObject({ degraded: false, pending: 0 })
  await limiter.close()
})
