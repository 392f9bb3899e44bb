import { expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

test('a command that takes long to draw up is sent all the same: the store has its time from then on', async () => {
  const steady = new ManualClock(1_000_000)
  let late = 0
  let each = 0
  // Between any two readings so much passes.
  const clock: Clock = {
    wall: () => steady.wall() + late,
    monotonic: () => {
      late += each
      return steady.monotonic() + late
    },
    setTimer: (callback, ms) => steady.setTimer(callback, ms),
    clearTimer: (timer) => steady.clearTimer(timer),
  }
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 1000, window: '1h' }),
    mode: 'soft',
    store: memoryStore({ clock }),
    clock,
    timeout: '100ms',
  })
  await limiter.check('key')
  each = 40
  await limiter.flush()
  expect(limiter.stats().pending).toBe(0)
  each = 0
  await limiter.close()
})
