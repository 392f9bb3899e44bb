import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, type Decision, fixedWindow, type Limit, memoryStore, slidingLog } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

/** A store that is asked over a network, of how many peeks each command was, and how many were under way at once. */
function counting(memory = memoryStore()) {
  const commands: number[] = []
  let underWay = 0
  const told = { commands, most: 0 }
  const store = farStore(memory, async (table, request) => {
    if (request.operations[0]?.[0] === 'peek') commands.push(request.operations.length)
    told.most = Math.max(told.most, ++underWay)
    await new Promise((resolve) => setImmediate(resolve))
    underWay--
    return table.exchange(request)
  })
  return { store, told }
}

it.each([
  ['of a window', fixedWindow({ limit: 10, window: '1h' }), 250, 16],
  // Each may cost as much as its log is long.
  ['of a log', slidingLog({ limit: 10, window: '1h' }), 10, 50],
])('thousands of peeks %s share commands, few of which are under way', async (_, limit, most, atOnce) => {
  const { store, told } = counting()
  const limiter = createLimiter({ name: 'api', limit, store, timeout: '1m' })
  const keys = Array.from({ length: 6000 }, (_, n) => `key-${n}`)
  await Promise.all(keys.map((key, n) => limiter.check(key, { cost: 1 + (n % 9) })))
  const peeked = await Promise.all(keys.map((key) => limiter.peek(key)))
  expect(peeked.map(({ remaining }) => remaining)).toEqual(peeked.map((_, n) => 10 - 2 - (n % 9)))
  expect(Math.max(...told.commands)).toBe(most)
  expect(told.commands.reduce((sum, peeks) => sum + peeks)).toBe(6000)
  expect(told.most).toBe(atOnce)
  await limiter.close()
})

const FAR: readonly (readonly [string, Limit, number])[] = [
  ['a window', fixedWindow({ limit: 10, window: '1h' }), 3000],
  ['a log', slidingLog({ limit: 10, window: '1h' }), 400],
]

it.each(FAR)('a burst of peeks of %s is answered by a store that is 20 ms away', async (_, limit, peeks) => {
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({ name: 'api', limit, store: slowStore(clock, () => 10), clock })
  const peeked = Promise.all(Array.from({ length: peeks }, (_, n) => limiter.peek(`key-${n}`)))
  await clock.advance(200)
  expect((await peeked).filter(({ source }) => source !== 'store')).toEqual([])
  await limiter.close()
})

it('so is one of two limits in one place', async () => {
  const clock = new ManualClock(1_000_000)
  const store = faultyStore(memoryStore({ clock }), { clock, latency: 10 })
  const limit = [fixedWindow({ limit: 10, window: '1h' }), fixedWindow({ limit: 3, window: '1m' })]
  const limiter = createLimiter({ name: 'api', limit, store, clock })
  const peeked = Promise.all(Array.from({ length: 3000 }, (_, n) => limiter.peek(`key-${n}`)))
  await clock.advance(200)
  expect((await peeked).filter(({ source }) => source !== 'store')).toEqual([])
  expect(limiter.stats().storeCalls).toBe(12)
  await limiter.close()
})

it('for a stream of peeks of a log the store does not count as away, and checks are answered', async () => {
  const clock = new ManualClock(1_000_000)
  const limit = slidingLog({ limit: 10, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, store: slowStore(clock, () => 10), clock })
  let degraded = 0
  limiter.on('degraded', () => degraded++)
  const peeks: Promise<Decision>[] = []
  const checks: Promise<Decision>[] = []
  for (let ms = 0; ms < 1000; ms++) {
    for (let n = 0; n < 2; n++) peeks.push(limiter.peek(`key-${ms}-${n}`))
    if (ms % 100 === 0) checks.push(limiter.check(`key-${ms}`))
    await clock.advance(1)
  }
  await clock.advance(200)
  const told = await Promise.all([...peeks, ...checks])
  expect(degraded).toBe(0)
  expect(told.filter(({ source }) => source !== 'store')).toEqual([])
  await limiter.close()
})

it('those of one key are one, and each is told by a decision of its own', async () => {
  const { store, told } = counting()
  const limit = fixedWindow({ limit: 10, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, store, timeout: '1m' })
  await limiter.penalty('key', 12)
  const peeked = await Promise.all(Array.from({ length: 100 }, () => limiter.peek('key')))
  expect(told.commands).toEqual([1])
  expect(new Set(peeked).size).toBe(100)
  for (const its of peeked) expect(its).toEqual(peeked[0])
  expect(peeked[99]).toMatchObject({ allowed: false, remaining: 0, debt: 2, source: 'store' })
  await limiter.close()
})

it('a peek that the store does not answer in time goes by the outage rule, and takes nothing', async () => {
  const clock = new ManualClock(1_000_000)
  const store = farStore(memoryStore({ clock }), () => new Promise(() => {}))
  const limit = fixedWindow({ limit: 10, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, store, clock, onOutage: 'local' })
  const first = Promise.all([limiter.peek('a'), limiter.peek('a'), limiter.peek('b')])
  await clock.advance(100)
  for (const its of await first) expect(its).toMatchObject({ allowed: true, remaining: 9, source: 'outage' })
  expect(limiter.stats().uncertain).toBe(0)
  await limiter.close()
})

it.each([
  ['two limits', {}],
  ['two limits and a reserve', { spike: { extra: 5, per: '1h' as const } }],
])('%s of one store are asked about in one command, as a check takes of them', async (_, more) => {
  const limit = [fixedWindow({ limit: 10, window: '1h' }), slidingLog({ limit: 3, window: '1m' })]
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({ name: 'api', limit, ...more, clock, store: memoryStore({ clock }) })
  await limiter.check('key', { cost: 3 })
  const before = limiter.stats().storeCalls
  const peeked = await Promise.all([limiter.peek('key'), limiter.peek('key'), limiter.peek('another')])
  expect(limiter.stats().storeCalls).toBe(before + 1)
  const [one, two, another] = peeked
  expect(one).toEqual(two)
  expect(one).not.toBe(two)
  expect(one?.parts?.map(({ remaining }) => remaining)).toEqual([7, 0])
  expect(one?.allowed).toBe('spike' in more)
  expect(another?.parts?.map(({ remaining }) => remaining)).toEqual([9, 2])
  expect(await limiter.check('key')).toEqual(one)
  await limiter.close()
})

it('of several limits that the store does not answer each goes by the outage rule, and takes nothing', async () => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const silent = { exchange: () => new Promise<never>(() => {}) }
  const store = { ...memory, open: memory.open.bind(memory), join: () => silent, close: () => memory.close() }
  const limit = [fixedWindow({ limit: 10, window: '1h' }), fixedWindow({ limit: 3, window: '1m' })]
  const limiter = createLimiter({ name: 'api', limit, store, clock, onOutage: 'local' })
  for (let times = 0; times < 2; times++) {
    const peek = limiter.peek('key')
    await clock.advance(100)
    expect((await peek).parts?.map(({ remaining }) => remaining)).toEqual([9, 2])
  }
  expect(limiter.stats().uncertain).toBe(0)
  await limiter.close()
})
