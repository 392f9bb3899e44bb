import { expect, test } from 'vitest'
import { forgetful } from '../../test/forgetful-store.ts'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { createLimiter, StoreError, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import { faultyStore } from '../testing/faulty-store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const INTERVAL = 1000
const limit = fixedWindow({ limit: 10, window: '365d' }) as Algorithm

test('what a node holds is given back within an interval of the loss, all keys at once', async () => {
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  const { store, lose } = forgetful(clock, limit)
  const limiter = createLimiter({
    ...{ name: 'restoring', limit, store, clock, random: () => 1, mode: 'soft' },
    sync: { interval: INTERVAL },
  })
  const keys = Array.from({ length: 1200 }, (_, place) => `key ${place}`)
  for (const key of keys) limiter.checkSync(key, { cost: 3 })
  await clock.advance(3 * INTERVAL)
  expect(limiter.stats().pending).toBe(0)

  lose()
  await clock.advance(INTERVAL)
  const hard = createLimiter({ name: 'restoring', limit, store, clock })
  for (const key of keys) expect((await hard.peek(key)).remaining).toBe(6)
  await limiter.close()
})

for (const [what, limit] of Object.entries({
  'sliding window': slidingWindow({ limit: 10, window: '1m' }),
  'sliding log': slidingLog({ limit: 10, window: '1m' }),
  'token bucket': tokenBucket({ capacity: 10, refill: 1, per: '1m' }),
})) {
  test(`${what}: what was admitted in the window before is given back too`, async () => {
    const clock = new ManualClock(Date.UTC(2026, 5, 1))
    const { store, lose } = forgetful(clock, limit as Algorithm)
    const limiter = createLimiter({
      ...{ name: 'restoring', limit, store, clock, random: () => 1, mode: 'soft' },
      sync: { interval: INTERVAL },
    })
    // So late in its window that what is asked for later is asked in the next.
    await clock.advance(55_000)
    limiter.checkSync('key', { cost: 4 })
    await clock.advance(6 * INTERVAL)
    limiter.checkSync('key', { cost: 1 })
    await clock.advance(3 * INTERVAL)
    expect(limiter.stats().pending).toBe(0)
    const hard = createLimiter({ name: 'restoring', limit, store, clock })
    const { remaining } = await hard.peek('key')
    expect(remaining).toBeLessThan(9)

    lose()
    await clock.advance(INTERVAL)
    expect((await hard.peek('key')).remaining).toBe(remaining)
    await limiter.close()
  })
}

test('what is admitted while a key is given back is counted as well', async () => {
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  const { store, lose } = forgetful(clock, limit)
  const limiter = createLimiter({
    ...{ name: 'restoring', limit, store, clock, random: () => 1, mode: 'soft' },
    sync: { interval: INTERVAL },
  })
  limiter.checkSync('key', { cost: 2 })
  limiter.checkSync('full', { cost: 10 })
  await clock.advance(3 * INTERVAL)
  lose()
  for (let time = 0; time < 8; time++) {
    await clock.advance(INTERVAL / 4)
    limiter.checkSync('key')
  }
  await clock.advance(2 * INTERVAL)
  const hard = createLimiter({ name: 'restoring', limit, store, clock })
  expect((await hard.peek('key')).remaining).toBe(0)
  expect((await hard.peek('full')).allowed).toBe(false)
  expect(limiter.stats().pending).toBe(0)
  await limiter.close()
})

for (const [what, limit] of Object.entries({
  'sliding window': slidingWindow({ limit: 10, window: '1m' }),
  'sliding log': slidingLog({ limit: 10, window: '1m' }),
  'token bucket': tokenBucket({ capacity: 10, refill: 1, per: '1m' }),
})) {
  test(`${what}: what was lost and not told of is owed again once the key is heard of`, async () => {
    const clock = new ManualClock(Date.UTC(2026, 5, 1))
    const { store, lose } = forgetful(clock, limit as Algorithm, false)
    const limiter = createLimiter({
      ...{ name: 'restoring', limit, store, clock, random: () => 1, mode: 'soft' },
      sync: { interval: INTERVAL },
    })
    limiter.checkSync('key', { cost: 4 })
    await clock.advance(3 * INTERVAL)
    lose()
    limiter.checkSync('key', { cost: 2 })
    await clock.advance(4 * INTERVAL)
    const hard = createLimiter({ name: 'restoring', limit, store, clock })
    expect((await hard.peek('key')).remaining).toBe(3)
    await limiter.close()
  })
}

test('what was lost of a log and not told of does not end as soon as what was given up since', async () => {
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  const log = slidingLog({ limit: 10, window: '1m' })
  const { store, lose } = forgetful(clock, log as Algorithm, false)
  const lossy = faultyStore(store, { clock })
  const limiter = createLimiter({
    ...{ name: 'restoring', limit: log, store: lossy, clock, random: () => 1, mode: 'leased' },
    sync: { interval: INTERVAL },
  })
  expect((await limiter.check('key', { cost: 4 })).allowed).toBe(true)
  await clock.advance(3 * INTERVAL)
  // What is booked by an answer that is lost may be booked ahead: it can't be spent at once, and is given up before it can.
  lossy.network.replyLoss = 1
  const unheard = limiter.check('key', { cost: 2 })
  await clock.advance(INTERVAL / 4)
  expect((await unheard).source).toBe('outage')
  lossy.network.replyLoss = 0
  await clock.advance(INTERVAL)
  lose()
  await clock.advance(6 * INTERVAL)
  const hard = createLimiter({ name: 'restoring', limit: log, store, clock })
  expect((await hard.peek('key')).remaining).toBe(5)
  await limiter.close()
})

test('a flush is not done before a store that was away has told whether it still has all', async () => {
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  const { store, lose } = forgetful(clock, limit)
  const away = faultyStore(store, { clock })
  const limiter = createLimiter({
    ...{ name: 'restoring', limit, store: away, clock, random: () => 1, mode: 'soft' },
    sync: { interval: INTERVAL },
  })
  limiter.checkSync('key', { cost: 4 })
  await clock.advance(3 * INTERVAL)
  away.goAway(2 * INTERVAL)
  lose()
  await clock.advance(INTERVAL)
  expect(limiter.stats()).toMatchObject({ degraded: true, pending: 0 })
  await expect(limiter.flush()).rejects.toThrow(StoreError)
  await clock.advance(INTERVAL)
  let flushed = false
  while (!flushed) {
    flushed = await limiter.flush().then(
      () => true,
      () => false,
    )
    const hard = createLimiter({ name: 'restoring', limit, store, clock })
    if (flushed) expect((await hard.peek('key')).remaining).toBe(5)
    await clock.advance(100)
  }
  await limiter.close()
})
