import {
  createLimiter,
  fixedWindow,
  type Limit,
  leakyBucket,
  type Mode,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { seededRandom } from '@spillway/core/testing'
import { expect, inject, it, onTestFinished } from 'vitest'

const window = '365d'
const LARGE = 1_000_000
const MODES: readonly Mode[] = ['hard', 'soft', 'leased']

/** Pairs of limits in whose window nothing drains, by how much they hold. */
const LISTS: Record<string, (one: number, two: number) => [Limit, Limit]> = {
  'fixed window and token bucket': (one, two) => [
    fixedWindow({ limit: one, window }),
    tokenBucket({ capacity: two, refill: two, per: window }),
  ],
  'sliding window and sliding log': (one, two) => [
    slidingWindow({ limit: one, window }),
    slidingLog({ limit: two, window }),
  ],
  'leaky bucket and fixed window': (one, two) => [
    leakyBucket({ capacity: one, leak: one, per: window }),
    fixedWindow({ limit: two, window }),
  ],
}

const stores = { memory: () => memoryStore(), redis: () => redisStore(inject('redisUrl')) }

it.each(
  Object.keys(LISTS).flatMap((list) => (['memory', 'redis'] as const).map((kind) => [list, kind] as const)),
)('%s, by plans, in all modes under one name, in %s: counted as admitted', async (list, kind) => {
  const store = stores[kind]()
  onTestFinished(() => store.close())
  const limits = LISTS[list] as (typeof LISTS)[string]
  const name = `mixed-${list.replaceAll(' ', '-')}-${process.pid}`
  const plans = [limits(9, 14), limits(21, 17)] as const
  const nodes = [...MODES, ...MODES].map((mode) => {
    const sync = mode === 'hard' ? {} : { sync: { interval: '50ms' } }
    return createLimiter({ name, mode, store, limit: plans[0], timeout: '5s', ...sync })
  })
  const random = seededRandom(11)
  const admitted = new Map<string, number>()
  let refused = 0
  for (let round = 0; round < 12; round++) {
    const checks = nodes.map(async (node) => {
      const key = random() < 0.5 ? 'free' : 'paid'
      const cost = 1 + Math.floor(random() * 2)
      const { allowed } = await node.check(key, { cost, ...(key === 'paid' && { limit: plans[1] }) })
      if (allowed) admitted.set(key, (admitted.get(key) ?? 0) + cost)
      else refused++
    })
    await Promise.all(checks)
    if (round % 3 === 2) await Promise.all(nodes.map((node) => node.flush()))
  }
  await Promise.all(nodes.map((node) => node.close()))
  expect(refused).toBeGreaterThan(10)
  const observer = createLimiter({ name, store, limit: limits(LARGE, LARGE), timeout: '5s' })
  for (const [key, cost] of admitted) {
    const { parts = [] } = await observer.peek(key)
    expect(parts.map(({ remaining }) => LARGE - 1 - remaining)).toEqual([cost, cost])
  }
  // What was settled and booked bars everybody: nobody is let through once all is told.
  const late = createLimiter({ name, store, limit: plans[0], timeout: '5s' })
  for (const [place, key] of ['free', 'paid'].entries()) {
    const limit = plans[place as 0 | 1]
    const left = Math.min(...limit.map((its) => its.limit)) - (admitted.get(key) ?? 0)
    expect((await late.check(key, { limit, cost: Math.max(1, left + 1) })).allowed).toBe(false)
    if (left > 0) expect((await late.check(key, { limit, cost: left })).allowed).toBe(true)
  }
  await observer.close()
  await late.close()
})
