import {
  createLimiter,
  fixedWindow,
  type Limit,
  leakyBucket,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { Redis } from 'ioredis'
import { countsOf, draws, keyNames } from '../keys.ts'
import { expectAdmitted, expectRemaining, quantile } from '../measure.ts'
import { untilBegun, windowAfterCounting } from '../next-window.ts'
import type { Contender, Question } from '../question.ts'

// What a decision of each algorithm costs Redis when many travel together: the script's time, by the server's count.

const KEYS = 10_000
const AT_ONCE = 512
const CHECKS = 100_000
/** No key reaches it: a key is asked for some 12 times. */
const LIMIT = 40
/** So fast that whole tokens drain between two checks of a key. */
const RATE = { capacity: LIMIT, per: '1s' } as const
const US = 'µs of Redis a decision'
const FIXED = 'fixed window'

interface Subject {
  readonly limit: Limit
  /** Called once each key has been asked for. */
  warm?(): Promise<void>
  /** Whether what was counted is freed as time passes. */
  readonly drains?: boolean
}

function contender(name: string, subject: () => Subject): Contender {
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const store = redisStore(redisUrl)
      const redis = new Redis(redisUrl)
      const { limit, warm, drains } = subject()
      const limiter = createLimiter({ name: 'bench', limit, store, timeout: '10s' })
      const names = keyNames(KEYS)
      const checks = Math.ceil((CHECKS * share) / AT_ONCE) * AT_ONCE
      const order = draws('uniform', KEYS, checks)
      let admitted = 0
      const costs: number[] = []
      const batch = (places: Uint32Array) =>
        Promise.all(
          Array.from(places, async (place) => {
            if ((await limiter.check(names[place]!)).allowed) admitted++
          }),
        )
      const all = Uint32Array.from(names, (_, place) => place)
      for (let first = 0; first < KEYS; first += AT_ONCE) await batch(all.subarray(first, first + AT_ONCE))
      await warm?.()
      for (let first = 0; first < checks; first += AT_ONCE) {
        await redis.config('RESETSTAT')
        const decisions = await batch(order.subarray(first, first + AT_ONCE))
        const stats = await redis.info('commandstats')
        const used = Number(/cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(stats)?.[1])
        // The first third warms up, and loads the script.
        if (first > checks / 3) costs.push(used / decisions.length)
      }
      expectAdmitted(admitted, KEYS + checks)
      const counts = countsOf(order, KEYS).map((count) => count + 1)
      const remaining = async (place: number) => (await limiter.check(names[place]!)).remaining
      await expectRemaining(counts, LIMIT, remaining, drains ? Infinity : 0)
      redis.disconnect()
      await limiter.close()
      await store.close()
      return { [US]: quantile(costs, 0.5) }
    },
  }
}

/** Each key has one count in the window before. */
function sliding(): Subject {
  const next = windowAfterCounting(KEYS)
  return { limit: slidingWindow({ limit: LIMIT, window: next.length }), warm: () => untilBegun(next) }
}

export const lua: Question = {
  name: 'lua',
  title: 'The algorithms in Redis',
  cases: [
    {
      name: 'in Lua, decisions in batches',
      redis: true,
      contenders: [
        contender(FIXED, () => ({ limit: fixedWindow({ limit: LIMIT, window: '1d' }) })),
        contender('sliding window', sliding),
        contender('token bucket', () => ({ limit: tokenBucket({ ...RATE, refill: 10 }), drains: true })),
        contender('leaky bucket', () => ({ limit: leakyBucket({ ...RATE, leak: 10 }), drains: true })),
        contender('sliding log', () => ({ limit: slidingLog({ limit: LIMIT, window: '1d' }) })),
      ],
      targets: ['sliding window', 'token bucket', 'leaky bucket', 'sliding log'].map((ours) => ({
        measure: US,
        ours,
        to: FIXED,
        atMost: 2,
      })),
    },
  ],
}
