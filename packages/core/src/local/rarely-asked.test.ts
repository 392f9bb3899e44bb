import { expect, it } from 'vitest'
import { LOCAL } from '../../test/modes.ts'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  type LimiterOptions,
  leakyBucket,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

// Nodes that share a key which is asked for more slowly than its limit: nobody is to be refused.

function nodes(limit: Limit, options: object, count = 2) {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  const random = seededRandom(1)
  const node = () => createLimiter({ name: 'api', limit, store, clock, random, ...options } as LimiterOptions)
  return { clock, all: Array.from({ length: count }, node) }
}

const TENS: Record<string, Limit> = {
  'sliding window': slidingWindow({ limit: 10, window: '1s' }),
  'sliding log': slidingLog({ limit: 10, window: '1s' }),
  'token bucket': tokenBucket({ capacity: 10, refill: 10, per: '1s' }),
  'leaky bucket': leakyBucket({ capacity: 10, leak: 10, per: '1s' }),
}

it.each(Object.keys(LOCAL).flatMap((mode) => Object.keys(TENS).map((name) => [mode, name] as const)))(
  '%s, %s: after a rush a key that is asked for once in a while is not refused for ever',
  async (mode, name) => {
    const { clock, all } = nodes(TENS[name] as Limit, LOCAL[mode as keyof typeof LOCAL])
    for (let turn = 0; turn < 150; turn++) {
      for (const node of all) await node.check('a')
      await clock.advance(20)
    }
    let refused = 0
    for (let turn = 0; turn < 20; turn++) {
      await clock.advance(1500)
      if (!(await all[1]?.check('a'))?.allowed) refused++
    }
    expect(refused).toBe(0)
    await Promise.all(all.map((node) => node.close()))
  },
)

const SMALL: Record<string, readonly [limit: Limit, gap: number, most: number]> = {
  'two, one a second': [tokenBucket({ capacity: 2, refill: 1, per: '1s' }), 1112, 0.02],
  'three, one a second': [tokenBucket({ capacity: 3, refill: 1, per: '1s' }), 1112, 0.02],
  'one each ten seconds': [tokenBucket({ capacity: 1, refill: 1, per: '10s' }), 11_120, 0.02],
  'one a second': [tokenBucket({ capacity: 1, refill: 1, per: '1s' }), 1250, 0.1],
  'a log of one each ten seconds': [slidingLog({ limit: 1, window: '10s' }), 11_120, 0.03],
}

it.each(
  Object.keys(LOCAL).flatMap((mode) =>
    Object.keys(SMALL).flatMap((name) => [2, 4].map((count) => [mode, name, count] as const)),
  ),
)('%s, %s, %i nodes: what comes more slowly than a small limit passes', async (mode, name, count) => {
  const [limit, gap, most] = SMALL[name] as (typeof SMALL)[string]
  const { clock, all } = nodes(limit, LOCAL[mode as keyof typeof LOCAL], count)
  let refused = 0
  for (let turn = 0; turn < 300; turn++) {
    if (!(await all[turn % count]?.check('a'))?.allowed) refused++
    await clock.advance(gap)
  }
  // Four soft nodes reckon with more of each other than there is.
  const isCautious = mode === 'soft' && count > limit.limit && limit.limit > 1
  expect(refused / 300).toBeLessThanOrEqual(isCautious ? 0.25 : most)
  await Promise.all(all.map((node) => node.close()))
})

it('soft: a small limit that is asked for all the time lets most of it pass', async () => {
  const { clock, all } = nodes(tokenBucket({ capacity: 1, refill: 1, per: '10s' }), LOCAL.soft)
  let admitted = 0
  for (let turn = 0; turn < 1000; turn++) {
    if ((await all[turn % 2]?.check('a'))?.allowed) admitted++
    await clock.advance(1000)
  }
  // 100 are free, and one node may have let one pass that the other did not know of.
  expect(admitted).toBeGreaterThan(70)
  expect(admitted).toBeLessThanOrEqual(102)
  await Promise.all(all.map((node) => node.close()))
})

it.each(['capped', 'leased'] as const)(
  '%s: a node that is alone admits when it said it would',
  async (mode) => {
    const limits: Limit[] = [
      tokenBucket({ capacity: 100, refill: 100, per: '1m' }),
      leakyBucket({ capacity: 20, leak: 5, per: '1m' }),
      slidingWindow({ limit: 100, window: '1m' }),
    ]
    for (const limit of limits) {
      const { clock, all } = nodes(limit, LOCAL[mode], 1)
      const [node] = all
      const cost = limit.limit / 10
      for (let turn = 0; turn < 10; turn++) await node?.check('a', { cost })
      for (let turn = 0; turn < 12; turn++) {
        const refused = await node?.check('a', { cost })
        if (refused === undefined || refused.allowed) continue
        await clock.advance(refused.retryAfterMs)
        const { allowed, retryAfterMs } = (await node?.check('a', { cost })) ?? {}
        expect({ limit: limit.algorithm, turn, allowed, retryAfterMs }).toMatchObject({ allowed: true })
      }
      await node?.close()
    }
  },
)

it.each(['capped', 'leased'] as const)(
  '%s: to a node that is alone what a burst took comes back as it came',
  async (mode) => {
    const limits: Limit[] = [
      slidingLog({ limit: 20, window: '10s' }),
      slidingLog({ limit: 5, window: '10s' }),
      tokenBucket({ capacity: 20, refill: 20, per: '10s' }),
      slidingWindow({ limit: 20, window: '10s' }),
    ]
    for (const limit of limits) {
      const { clock, all } = nodes(limit, LOCAL[mode], 1)
      const [node] = all
      let inVain = 0
      let waited = false
      for (let turn = 0; turn < 6 * limit.limit; turn++) {
        const { allowed, retryAfterMs } = (await node?.check('a')) ?? { allowed: false, retryAfterMs: 1 }
        if (!allowed && waited) inVain++
        waited = !allowed
        await clock.advance(allowed ? 20 : retryAfterMs)
      }
      expect({ limit: limit.algorithm, inVain }).toEqual({ limit: limit.algorithm, inVain: 0 })
      await node?.close()
    }
  },
)

it('soft: who waits as long as it is told is not told to come again at once while the node will not ask', async () => {
  const { clock, all } = nodes(tokenBucket({ capacity: 1, refill: 1, per: '10s' }), LOCAL.soft)
  const random = seededRandom(1)
  const counts = { allowed: 0, refused: 0 }
  const begun = clock.monotonic()
  while (clock.monotonic() - begun < 300_000) {
    const decision = await all[Math.floor(random() * 2)]?.check('a')
    if (decision?.allowed) counts.allowed++
    else counts.refused++
    await clock.advance(decision?.allowed ? 20 : (decision?.retryAfterMs ?? 1))
  }
  expect(counts.allowed).toBeGreaterThanOrEqual(29)
  // A hard node refuses each that comes before its time once.
  expect(counts.refused).toBeLessThan(3 * 30)
  await Promise.all(all.map((node) => node.close()))
})

it.each<readonly [name: string, limit: Limit, gap: number]>([
  ['a bucket of one', tokenBucket({ capacity: 1, refill: 1, per: '10s' }), 1400],
  ['a log of one', slidingLog({ limit: 1, window: '10s' }), 1400],
  ['a bucket of eight', tokenBucket({ capacity: 8, refill: 8, per: '10s' }), 700],
  ['a log of eight', slidingLog({ limit: 8, window: '10s' }), 700],
  ['a fixed window of eight', fixedWindow({ limit: 8, window: '10s' }), 700],
])(
  'soft: all of %s is had by the one node that asks for it, soon after it is free',
  async (_, limit, gap) => {
    const cost = limit.limit
    const { clock, all } = nodes(limit, LOCAL.soft)
    const [node] = all
    for (let turn = 0; turn < 4 * limit.limit + 12; turn++) {
      for (const one of all) await one.check('a')
      await clock.advance(gap)
    }
    let refused = 0
    for (let free = 0; free < 5; free++) {
      let decision = await node?.check('a', { cost })
      for (; decision?.allowed === false && refused < 1000; refused++) {
        await clock.advance(decision.retryAfterMs)
        decision = await node?.check('a', { cost })
      }
    }
    // Those that come when it was told, and some while others were still reckoned with.
    expect(refused).toBeLessThan(25)
    await Promise.all(all.map((one) => one.close()))
  },
)

it.each(['capped', 'leased'] as const)(
  '%s: a node that is alone admits when it said it would, also after it asked in vain for long',
  async (mode) => {
    const limit = slidingWindow({ limit: 10, window: '10s' })
    for (let begin = 0; begin < 10_000; begin += 500) {
      const { clock, all } = nodes(limit, LOCAL[mode], 1)
      const [node] = all
      await clock.advance(begin)
      // Of the window before nothing is free for a while, and the next one begins full.
      for (let check = 0; check < 80; check++) {
        await node?.check('a')
        await clock.advance(130)
      }
      let decision = await node?.check('a')
      while (decision?.allowed) decision = await node?.check('a')
      await clock.advance(decision?.retryAfterMs ?? 0)
      expect({ begin, allowed: (await node?.check('a'))?.allowed }).toEqual({ begin, allowed: true })
      await node?.close()
    }
  },
)

it.each(
  (['capped', 'leased'] as const).flatMap((mode) =>
    (
      [
        [100, 1],
        [100, 3],
        [1000, 20],
      ] as const
    ).map(([most, cost]) => [mode, most, cost] as const),
  ),
)(
  '%s: a node that is alone admits of %i when it said it would, though it does not ask whenever a cost of %i is free',
  async (mode, most, cost) => {
    const limits: Limit[] = [
      tokenBucket({ capacity: most, refill: most, per: '1m' }),
      slidingWindow({ limit: most, window: '1m' }),
      slidingLog({ limit: most, window: '1m' }),
    ]
    for (const limit of limits) {
      const { clock, all } = nodes(limit, LOCAL[mode], 1)
      const [node] = all
      for (let check = 0; check < most / cost; check++) {
        await node?.check('a', { cost })
        await clock.advance(10)
      }
      let waits = 0
      let broken = 0
      for (let turn = 0; turn < 60; turn++) {
        const refused = await node?.check('a', { cost })
        if (refused === undefined || refused.allowed) continue
        waits++
        await clock.advance(refused.retryAfterMs)
        if (!(await node?.check('a', { cost }))?.allowed) broken++
      }
      expect(waits).toBeGreaterThan(10)
      expect({ limit: limit.algorithm, broken }).toEqual({ limit: limit.algorithm, broken: 0 })
      await node?.close()
    }
  },
)
