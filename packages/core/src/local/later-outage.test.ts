import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

test('in an outage longer than a window a node goes on with its share by the nodes there were last, not in an earlier outage', async () => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const store = faultyStore(memory, { clock, latency: 1 })
  const options = {
    name: 'api',
    limit: fixedWindow({ limit: 100, window: '2s' }),
    mode: 'soft',
    store,
    clock,
    random: () => 0.5,
    sync: { interval: '200ms' },
  } as const
  const one = createLimiter(options)
  const others = [createLimiter(options)]
  const advance = async (ms: number, limiters: readonly (typeof one)[]) => {
    for (let at = 0; at < ms; at += 100) {
      for (const limiter of limiters) void limiter.check('busy')
      await clock.advance(100)
    }
  }
  const admittedIn = async () => {
    // The beginning of a window.
    await clock.advance(2000 - (clock.wall() % 2000))
    let admitted = 0
    while (admitted < 200 && one.checkSync('key').allowed) admitted++
    return admitted
  }
  void one.check('key')
  await advance(3000, [one, ...others])
  store.goAway(9000)
  await clock.advance(7000)
  expect(await admittedIn()).toBe(50)
  await clock.advance(3000)
  for (let more = 0; more < 3; more++) others.push(createLimiter(options))
  await advance(8000, [one, ...others])
  expect(one.stats().degraded).toBe(false)
  store.goAway(9000)
  await clock.advance(7000)
  expect(await admittedIn()).toBe(20)
  const closed = Promise.all([one, ...others].map((limiter) => limiter.close()))
  await clock.advance(20_000)
  await closed
})
