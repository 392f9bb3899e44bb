import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, type Store } from '../index.ts'
import { ManualClock } from '../testing.ts'

/** A store that never answers. */
function silent(clock: ManualClock): Store {
  const inner = memoryStore({ clock })
  return {
    open: (...call) => ({
      ...inner.open(...call),
      known: true,
      now: () => clock.wall(),
      latest: () => clock.wall(),
      exchange: () => new Promise(() => {}),
    }),
    close: () => inner.close(),
  }
}

test('a check of a new key is answered within its timeout, however many are asked about before it', async () => {
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({
    ...{ name: 'api', limit: fixedWindow({ limit: 10, window: '1h' }), mode: 'soft' },
    ...{ store: silent(clock), clock, random: () => 0.5, timeout: '100ms' },
  })
  for (let key = 0; key < 5000; key++) limiter.checkSync(`key ${key}`)
  let answered = false
  void limiter.check('awaited').then(() => {
    answered = true
  })
  await clock.advance(105)
  expect(answered).toBe(true)
  void limiter.close()
})
