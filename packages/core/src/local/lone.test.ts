import { expect, test, vi } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'
import { LocalDecisions } from './local-decisions.ts'

const INTERVAL = 1000

function world() {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  const limiter = (limit = fixedWindow({ limit: 1000, window: '1h' }), maxKeys = 1000) =>
    createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random: () => 0.5, maxKeys })
  return { clock, limiter }
}

test.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 1000, window: '1h' })],
])('a node that is alone does not settle each interval: %s', async (_, limit) => {
  const { clock, limiter } = world()
  const one = limiter(limit)
  for (let check = 0; check < 100; check++) {
    expect(one.checkSync('key').allowed).toBe(true)
    await clock.advance(INTERVAL)
  }
  expect(one.stats().storeEntries).toBeLessThan(5)
  await one.flush()
  expect(one.stats()).toMatchObject({ pending: 0, expired: 0 })
  await one.close()
})

test('a node that is alone asks about a key once, and from then on looks at its row only', async () => {
  const { clock, limiter } = world()
  const one = limiter()
  const keys = Array.from({ length: 20 }, (_, place) => `key-${place}`)
  for (const key of keys) one.checkSync(key)
  await one.flush()
  const { storeEntries } = one.stats()
  const long = vi.spyOn(LocalDecisions.prototype, 'checkHeldSync')
  for (let check = 0; check < 100; check++) {
    for (const key of keys) expect(one.checkSync(key).allowed).toBe(true)
    await clock.advance(INTERVAL / 10)
  }
  expect(long).not.toHaveBeenCalled()
  expect(one.stats().storeEntries).toBe(storeEntries)
  long.mockRestore()
  await one.close()
})

test.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 1000, window: '1h' })],
])('another node that comes later hears of all that was admitted before: %s', async (_, limit) => {
  const { clock, limiter } = world()
  const one = limiter(limit)
  for (let check = 0; check < 400; check++) {
    expect(one.checkSync('key').allowed).toBe(true)
    if (check % 100 === 0) await clock.advance(INTERVAL)
  }
  const two = limiter(limit)
  expect((await two.check('key')).remaining).toBe(599)
  expect(one.checkSync('key').allowed).toBe(true)
  await clock.advance(2 * INTERVAL)
  expect(one.stats().pending).toBe(0)
  await two.check('key')
  await clock.advance(2 * INTERVAL)
  expect((await two.peek('key')).remaining).toBe(596)
  await one.close()
  await two.close()
})

test('a key that was pushed out of RAM is remembered', async () => {
  const { clock, limiter } = world()
  const one = limiter(undefined, 64)
  for (let check = 0; check < 300; check++) one.checkSync('key')
  for (let key = 0; key < 500; key++) {
    one.checkSync(`other-${key}`)
    await clock.advance(5)
  }
  await clock.advance(2 * INTERVAL)
  expect((await one.check('key')).remaining).toBe(699)
  await one.close()
})

test('what was admitted in a window that is over is not counted as lost', async () => {
  const { clock, limiter } = world()
  const one = limiter(fixedWindow({ limit: 10, window: '10s' }))
  for (let check = 0; check < 50; check++) {
    one.checkSync('key')
    await clock.advance(INTERVAL)
  }
  expect(one.stats().expired).toBe(0)
  await one.close()
})
