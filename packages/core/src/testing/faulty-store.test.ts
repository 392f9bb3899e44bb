import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, systemClock } from '../index.ts'
import { type FaultyStoreOptions, faultyStore, ManualClock } from '../testing.ts'

function world(options: FaultyStoreOptions = {}) {
  const clock = new ManualClock(1_800_000_000_000)
  const inner = memoryStore({ clock })
  const store = faultyStore(inner, { clock, ...options })
  const limit = fixedWindow({ limit: 10, window: '1h' })
  const through = createLimiter({ name: 'api', limit, store, clock, timeout: 100 })
  const direct = createLimiter({ name: 'api', limit, store: inner, clock })
  const used = async () => 9 - (await direct.peek('key')).remaining
  return { clock, store, through, used }
}

test('without faults it passes everything at once', async () => {
  const { through, used } = world()
  expect(await through.check('key')).toMatchObject({ allowed: true, source: 'store', remaining: 9 })
  expect(await used()).toBe(1)
})

test('a delayed answer takes its time both ways', async () => {
  const { clock, through, used } = world({ latency: 20 })
  const check = through.check('key')
  await clock.advance(19)
  expect(await used()).toBe(0)
  await clock.advance(20)
  expect(await used()).toBe(1)
  expect(through.stats().checks).toBe(0)
  await clock.advance(1)
  expect(await check).toMatchObject({ allowed: true, source: 'store' })
})

test('a lost request counts nothing, a lost reply counts: the check cannot tell', async () => {
  const { clock, store, through, used } = world({ requestLoss: 1 })
  const lost = through.check('key')
  await clock.advance(101)
  expect(await lost).toMatchObject({ allowed: false, reason: 'outage' })
  expect(await used()).toBe(0)
  Object.assign(store.network, { requestLoss: 0, replyLoss: 1 })
  const counted = through.check('key')
  await clock.advance(101)
  expect(await counted).toMatchObject({ allowed: false, reason: 'outage' })
  expect(await used()).toBe(1)
})

test('a repeated request is counted once', async () => {
  const { clock, through, used } = world({ duplication: 1, latency: 1 })
  const check = through.check('key', { cost: 3 })
  await clock.advance(10)
  expect(await check).toMatchObject({ allowed: true })
  expect(await used()).toBe(3)
})

test('a stalled store answers afterwards; one that is away refuses, and what was under way is lost', async () => {
  const { clock, store, through, used } = world({ latency: 5 })
  store.stall(50)
  const stalled = through.check('key')
  await clock.advance(49)
  expect(await used()).toBe(0)
  await clock.advance(6)
  expect(await stalled).toMatchObject({ allowed: true })
  const under = through.check('key')
  await clock.advance(1)
  store.goAway(1000)
  const refused = through.check('other')
  await clock.advance(0)
  expect(await refused).toMatchObject({ reason: 'outage' })
  await clock.advance(100)
  expect(await under).toMatchObject({ reason: 'outage' })
  expect(await used()).toBe(1)
  await clock.advance(1000)
  const back = through.check('key')
  await clock.advance(10)
  expect(await back).toMatchObject({ allowed: true, source: 'store' })
})

test('works by the machine’s clock too', async () => {
  const store = faultyStore(memoryStore(), { latency: 5 })
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 10, window: '1h' }),
    store,
    timeout: '30s',
  })
  const began = systemClock.monotonic()
  expect(await limiter.check('key')).toMatchObject({ allowed: true })
  expect(systemClock.monotonic() - began).toBeGreaterThan(8)
  await store.close()
})

test('limits that are taken together are asked over the same network', async () => {
  const clock = new ManualClock(1_800_000_000_000)
  const inner = memoryStore({ clock })
  const store = faultyStore(inner, { clock, latency: 5, replyLoss: 1 })
  const limit = [fixedWindow({ limit: 10, window: '1h' }), fixedWindow({ limit: 5, window: '1d' })]
  const limiter = createLimiter({ name: 'api', limit, store, clock, timeout: 100 })
  const direct = createLimiter({ name: 'api', limit, store: inner, clock })
  const check = async () => {
    const decision = limiter.check('key', { cost: 2 })
    await clock.advance(101)
    return decision
  }
  expect(await check()).toMatchObject({ allowed: false, reason: 'outage' })
  expect((await direct.peek('key')).parts?.map(({ remaining }) => remaining)).toEqual([7, 2])
  Object.assign(store.network, { replyLoss: 0, duplication: 1 })
  expect(await check()).toMatchObject({ allowed: true, remaining: 1 })
  expect(await check()).toMatchObject({ allowed: false, reason: 'limit' })
  expect((await direct.peek('key')).parts?.map(({ remaining }) => remaining)).toEqual([5, 0])
  expect(limiter.stats().storeCalls).toBe(3)
})
