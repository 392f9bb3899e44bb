import { expect, test } from 'vitest'
import { createLimiter, memoryStore, type Store, StoreError, slidingWindow, tokenBucket } from '../index.ts'
import { ManualClock } from '../testing.ts'

/** A store that is away at first, and whose time is then learnt from its first answer: until then it is an hour off. */
function awayUntil(clock: ManualClock, time: number): Store {
  const inner = memoryStore({ clock })
  return {
    close: () => inner.close(),
    open(name, limit) {
      const table = inner.open(name, limit)
      let known = false
      return {
        get known() {
          return known
        },
        latest: () => table.latest() + (known ? 0 : 3_600_000),
        now: () => table.now() + (known ? 0 : 3_600_000),
        async exchange(request) {
          if (clock.monotonic() < time) throw new StoreError('ERR_STORE_AWAY', 'the store is away')
          known = true
          return table.exchange(request)
        },
      }
    },
  }
}

test('a node that starts while the store is away, with a clock an hour off, settles once it is back', async () => {
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({
    name: 'api',
    limit: slidingWindow({ limit: 100, window: '10s' }),
    mode: 'soft',
    store: awayUntil(clock, 1_012_500),
    sync: { interval: '100ms' },
    clock,
    random: () => 0.5,
  })
  let back = false
  limiter.on('recovered', () => {
    back = true
  })
  for (let check = 0; check < 13; check++) {
    expect(limiter.checkSync('key').allowed).toBe(true)
    await clock.advance(1000)
  }
  while (!back && clock.monotonic() < 1_020_000) await clock.advance(10)
  expect(back).toBe(true)
  await clock.advance(300)
  const before = limiter.stats()
  expect(before).toMatchObject({ pending: 0, degraded: false })
  await clock.advance(1000)
  // One question an interval about what changed: nothing is sent again and again.
  expect(limiter.stats().storeCalls - before.storeCalls).toBeLessThanOrEqual(13)
  await limiter.flush()
  await limiter.close()
})

test('counts once what was settled in the first slice of a clock that begins at 0', async () => {
  const clock = new ManualClock(0)
  const store = memoryStore({ clock })
  const limit = tokenBucket({ capacity: 6, refill: 1, per: 100 })
  const [one, two] = [0, 1].map(() =>
    createLimiter({ name: 'api', limit, mode: 'soft', store, clock, sync: { interval: '1h' } }),
  )
  await one!.check('key', { cost: 2 })
  await one!.flush()
  one!.checkSync('key')
  // Before its interval is over.
  await clock.advance(limit.window)
  await one!.flush()
  expect((await two!.peek('key')).remaining).toBe(4)
  for (const node of [one, two]) await node!.close()
})
