import { expect, test } from 'vitest'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { createLimiter } from '../index.ts'
import { memoryStore } from '../store/memory.ts'
import type { Store } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const INTERVAL = 1000
const limit = fixedWindow({ limit: 10, window: '365d' }) as Algorithm

test('what a node holds is given back within an interval of the loss, all keys at once', async () => {
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  let under = memoryStore({ clock }).open('restoring', limit)
  const store: Store = {
    open: () => ({
      known: true,
      now: () => under.now(),
      latest: () => under.latest(),
      exchange: (request) => under.exchange(request),
    }),
    close: async () => {},
  }
  const limiter = createLimiter({
    ...{ name: 'restoring', limit, store, clock, random: () => 1, mode: 'soft' },
    sync: { interval: INTERVAL },
  })
  const keys = Array.from({ length: 1200 }, (_, place) => `key ${place}`)
  for (const key of keys) limiter.checkSync(key, { cost: 3 })
  await clock.advance(3 * INTERVAL)
  expect(limiter.stats().pending).toBe(0)

  under = memoryStore({ clock }).open('restoring', limit)
  await clock.advance(INTERVAL)
  const hard = createLimiter({ name: 'restoring', limit, store, clock })
  for (const key of keys) expect((await hard.peek(key)).remaining).toBe(6)
  await limiter.close()
})
