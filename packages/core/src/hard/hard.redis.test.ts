import { afterAll, describe, expect, inject, it } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  type HardLimiter,
  type LimiterOptions,
  leakyBucket,
  type Store,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { redisStore } from '../redis.ts'

const stores: Store[] = []
const limiters: HardLimiter[] = []
const TRIES = 2000
const KEYS = 200

afterAll(async () => {
  for (const limiter of limiters) await limiter.close()
  for (const store of stores) await store.close()
})

function nodes(name: string, limit: LimiterOptions['limit']): [HardLimiter, HardLimiter] {
  const node = () => {
    const store = redisStore(inject('redisUrl'), { prefix: 'hard-test' })
    stores.push(store)
    const limiter = createLimiter({ name, limit, store, timeout: '30s' })
    limiters.push(limiter)
    return limiter
  }
  return [node(), node()]
}

describe.each([
  ['fixed window', fixedWindow({ limit: 1, window: '365d' })],
  ['sliding window', slidingWindow({ limit: 1, window: '365d' })],
  ['sliding log', slidingLog({ limit: 1, window: '365d' })],
  ['token bucket', tokenBucket({ capacity: 1, refill: 1, per: '365d' })],
  ['leaky bucket', leakyBucket({ capacity: 1, leak: 1, per: '365d' })],
])('%s on two nodes', (algorithm, limit) => {
  it(`passes exactly one of two checks at the same instant, in ${TRIES} tries`, async () => {
    const [a, b] = nodes(`one-${algorithm.replace(' ', '-')}`, limit)
    const passes = [0, 0]
    for (let first = 0; first < TRIES; first += KEYS) {
      const pairs = Array.from({ length: KEYS }, (_, n) =>
        Promise.all([a.check(`key${first + n}`), b.check(`key${first + n}`)]),
      )
      for (const pair of await Promise.all(pairs)) {
        expect(pair.map(({ source }) => source)).toEqual(['store', 'store'])
        expect(pair.filter(({ allowed }) => allowed)).toHaveLength(1)
        expect(pair.find(({ allowed }) => !allowed)).toMatchObject({ reason: 'limit', remaining: 0 })
        const winner = pair[0].allowed ? 0 : 1
        passes[winner] = (passes[winner] as number) + 1
      }
    }
    expect((passes[0] as number) + (passes[1] as number)).toBe(TRIES)
    for (const node of [a, b]) {
      expect(node.stats()).toMatchObject({
        checks: TRIES,
        storeEntries: TRIES,
        uncertain: 0,
        degraded: false,
      })
      expect(node.stats().storeCalls).toBeLessThanOrEqual(2 * (TRIES / KEYS))
    }
  })
})

it('checks that arrive while a command is in flight share the next one, in order', async () => {
  const [limiter] = nodes('share', fixedWindow({ limit: 500, window: '365d' }))
  const early = limiter.check('first')
  const checks = Array.from({ length: 1000 }, async (_, n) => {
    for (let turn = 0; turn < n % 20; turn++) await Promise.resolve()
    return limiter.check('key')
  })
  await early
  const decisions = await Promise.all(checks)
  expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(500)
  const { checks: count, storeCalls } = limiter.stats()
  expect(count).toBe(1001)
  expect(storeCalls).toBeLessThan(20)
})

it('answers checks of one key in the order in which they were made', async () => {
  const [limiter] = nodes('order', slidingLog({ limit: 10, window: '365d' }))
  const decisions = await Promise.all(Array.from({ length: 12 }, () => limiter.check('key')))
  expect(decisions.map(({ remaining }) => remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0])
  expect(decisions.map(({ allowed }) => allowed)).toEqual(decisions.map((_, turn) => turn < 10))
})

it('a check of several keys that is refused by one makes nobody else be refused', async () => {
  const scopes = {
    user: fixedWindow({ limit: 1, window: '365d' }),
    ip: slidingLog({ limit: KEYS, window: '365d' }),
  }
  const node = () => {
    const store = redisStore(inject('redisUrl'), { prefix: 'hard-test' })
    stores.push(store)
    return createLimiter({ name: 'scopes', scopes, store, timeout: '30s' })
  }
  const [a, b] = [node(), node()]
  await a.check({ user: 'full' })
  expect(await a.check({ user: 'full', ip: 'one' })).toMatchObject({ allowed: false, name: 'user' })
  // With one left of the address at the end, each of the refused would take it away from another.
  const checks = Array.from({ length: KEYS }, async (_, n) => {
    const [refused, passed] = await Promise.all([
      a.check({ user: 'full', ip: 'one' }),
      b.check({ user: `user${n}`, ip: 'one' }),
    ])
    // By which of the two depends on whose command comes first: the address may be used up by then.
    expect(refused.allowed).toBe(false)
    expect(passed).toMatchObject({ allowed: true })
  })
  await Promise.all(checks)
  expect(await b.check({ user: 'another', ip: 'one' })).toMatchObject({ allowed: false, name: 'ip' })
  expect(await b.check({ user: 'another' })).toMatchObject({ allowed: true })
  await Promise.all([a.close(), b.close()])
})
