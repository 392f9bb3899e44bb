import {
  createLimiter,
  type Decision,
  fixedWindow,
  type HardLimiter,
  type Limit,
  leakyBucket,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { standingsOf } from './standing.ts'

const LIMITS: Record<string, Limit> = {
  'fixed window': fixedWindow({ limit: 5, window: '10s' }),
  'sliding window': slidingWindow({ limit: 5, window: '10s' }),
  'sliding log': slidingLog({ limit: 5, window: '10s' }),
  'token bucket': tokenBucket({ capacity: 5, refill: 1, per: '3s' }),
  'leaky bucket': leakyBucket({ capacity: 5, leak: 1, per: '3s' }),
}

describe.each(Object.entries(LIMITS))('%s', (_, limit) => {
  it('tells times that hold: by then there is more quota, or the retry passes', async () => {
    const steps = fc.array(
      fc.record({ wait: fc.integer({ min: 1, max: 8_000 }), cost: fc.integer({ min: 1, max: 5 }) }),
      {
        minLength: 1,
        maxLength: 12,
      },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const clock = new ManualClock(3)
        const limiter = createLimiter({ name: 'api', limit, clock })
        let last: { decision: Decision; cost: number } | undefined
        for (const { wait, cost } of history) {
          await clock.advance(wait)
          last = { decision: await limiter.check('key', { cost }), cost }
        }
        const { decision, cost } = last!
        const [standing] = standingsOf(limiter, decision)
        expect(standing).toMatchObject({ name: 'api', limit: 5, remaining: decision.remaining })
        await clock.advance(standing!.moreAfter! * 1000)
        if (decision.allowed) {
          // What a check leaves is one less than what there is.
          expect((await limiter.peek('key')).remaining + 1).toBeGreaterThan(decision.remaining)
        } else {
          expect((await limiter.check('key', { cost })).allowed).toBe(true)
        }
      }),
    )
  })
})

it('tells of a bucket when the next token comes, not when it is full', async () => {
  const limiter = createLimiter({ name: 'api', limit: LIMITS['token bucket']!, clock: new ManualClock(0) })
  const decision = await limiter.check('key', { cost: 4 })
  expect(standingsOf(limiter, decision)).toEqual([
    { name: 'api', limit: 5, window: 15, remaining: 1, moreAfter: 3, resetAfter: 12 },
  ])
})

it('rounds up to whole seconds, the length of the window too', async () => {
  const limit = fixedWindow({ limit: 5, window: 1_500 })
  const limiter = createLimiter({ name: 'api', limit, clock: new ManualClock(200) })
  expect(standingsOf(limiter, await limiter.check('key'))).toEqual([
    { name: 'api', limit: 5, window: 2, remaining: 4, moreAfter: 2, resetAfter: 2 },
  ])
})

it('tells of a list of one limit as of that limit', async () => {
  const limit = [LIMITS['fixed window']!]
  const limiter = createLimiter({ name: 'api', limit, clock: new ManualClock(0) })
  expect(standingsOf(limiter, await limiter.check('key'))).toEqual([
    { name: 'api', limit: 5, window: 10, remaining: 4, moreAfter: 10, resetAfter: 10 },
  ])
})

it('tells each limit of a decision on several', async () => {
  const limiter = createLimiter({ name: 'api', limit: LIMITS['fixed window']!, clock: new ManualClock(0) })
  const decision = {
    ...(await limiter.check('key', { cost: 6 })),
    retryAfterMs: 2_500,
    name: 'burst',
  } as Decision
  const parts = [
    { name: 'burst', limit: 2, remaining: 0, resetAfterMs: 4_000, window: 5_000, algorithm: 'token-bucket' },
    {
      name: 'daily',
      limit: 9,
      remaining: 3,
      resetAfterMs: 70_000_000,
      window: 86_400_000,
      algorithm: 'fixed-window',
    },
  ]
  expect(standingsOf(limiter, { ...decision, parts })).toEqual([
    { name: 'burst', limit: 2, window: 5, remaining: 0, moreAfter: 3, resetAfter: 4 },
    { name: 'daily', limit: 9, window: 86_400, remaining: 3, moreAfter: 70_000, resetAfter: 70_000 },
  ])
})

describe('of several limits that refuse, none promises more before there is any', () => {
  const limit = [fixedWindow({ limit: 5, window: '10s' }), fixedWindow({ limit: 9, window: '1h' })]
  const refused = async (limiter: HardLimiter) => {
    const decision = await limiter.check('key')
    expect(decision.allowed).toBe(false)
    return standingsOf(limiter, decision).map(({ remaining, moreAfter }) => [remaining, moreAfter])
  }

  it('where the key is on a list', async () => {
    const limiter = createLimiter({ name: 'api', limit, clock: new ManualClock(0), deny: ['key'] })
    expect(await refused(limiter)).toEqual([
      [0, undefined],
      [0, undefined],
    ])
  })

  it('where the key is blocked for longer than a window', async () => {
    const limiter = createLimiter({ name: 'api', limit, clock: new ManualClock(0) })
    await limiter.block('key', '2h')
    expect(await refused(limiter)).toEqual([
      [0, 7200],
      [0, 7200],
    ])
  })

  it('where the key is blocked, beside a bucket that takes long to fill', async () => {
    const bucket = tokenBucket({ capacity: 100, refill: 100, per: '1h' })
    const limiter = createLimiter({ name: 'api', limit: [limit[0]!, bucket], clock: new ManualClock(0) })
    await limiter.check('key', { cost: 5 })
    await limiter.block('key', '20s')
    expect(await refused(limiter)).toEqual([
      [0, 20],
      [0, 20],
    ])
  })

  it.each([false, true])('nor a reset at once where the key is on a list (dry run: %s)', async (dryRun) => {
    for (const own of [limit, limit[0]!]) {
      const limiter = createLimiter({
        name: 'api',
        limit: own,
        clock: new ManualClock(0),
        deny: ['key'],
        dryRun,
      })
      const standings = standingsOf(limiter, await limiter.check('key'))
      for (const { moreAfter, resetAfter, window } of standings)
        expect([moreAfter, resetAfter]).toEqual([undefined, window])
    }
  })

  it('where the store is away, nor a reset before the next try', async () => {
    const store = redisStore('redis://127.0.0.1:1') // nothing listens there
    onTestFinished(() => store.close())
    for (const own of [limit, limit[0]!]) {
      const limiter = createLimiter({ name: 'api', limit: own, store })
      const decision = await limiter.check('key')
      expect(decision.reason).toBe('outage')
      for (const { moreAfter, resetAfter } of standingsOf(limiter, decision)) {
        expect(moreAfter).toBe(Math.ceil(decision.retryAfterMs / 1000))
        expect(resetAfter).toBe(moreAfter)
      }
    }
  })
})
