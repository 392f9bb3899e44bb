import { expect, test } from 'vitest'
import type { Clock } from './clock.ts'
import { createLimiter, fixedWindow, memoryStore, type Store } from './index.ts'
import { ManualClock } from './testing.ts'

test('an answer that came while the process was blocked is read before its check times out', async () => {
  const manual = new ManualClock(1_000_000)
  const inner = memoryStore({ clock: manual })
  let blockedFor = 0
  const clock: Clock = {
    wall: () => manual.wall(),
    monotonic: () => manual.monotonic() + blockedFor,
    setTimer: (callback, ms) => manual.setTimer(callback, ms),
    clearTimer: (timer) => manual.clearTimer(timer),
  }
  const store: Store = {
    close: () => inner.close(),
    open(name, limit) {
      const table = inner.open(name, limit)
      return {
        known: true,
        now: () => table.now(),
        latest: () => table.latest(),
        // It arrives within the timeout, and is read 1 ms after the timers of the blocked process have run.
        exchange(request) {
          const reply = table.exchange(request)
          return new Promise((resolve) => manual.setTimer(() => resolve(reply), 101))
        },
      }
    },
  }
  const limit = fixedWindow({ limit: 2, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, store, clock, timeout: '100ms' })
  const punctual = limiter.check('key')
  await manual.advance(200)
  expect((await punctual).source).toBe('outage')

  const late = limiter.check('key')
  await manual.advance(0)
  blockedFor += 3000
  await manual.advance(200)
  expect((await late).source).toBe('store')
  expect(limiter.stats().degraded).toBe(false)
})
