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
import { draws, keyNames } from '../keys.ts'
import { quantile } from '../measure.ts'
import type { Contender, Question } from '../question.ts'

// What a decision of each algorithm costs Redis when many travel together: the script's time, by the server's count.

const KEYS = 10_000
const AT_ONCE = 512
const CHECKS = 100_000
const LIMIT = 20
const US = 'µs of Redis a decision'
const FIXED = 'fixed window'

function contender(name: string, limit: Limit): Contender {
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const store = redisStore(redisUrl)
      const redis = new Redis(redisUrl)
      const limiter = createLimiter({ name: 'bench', limit, store, timeout: '10s' })
      const names = keyNames(KEYS)
      const checks = Math.ceil((CHECKS * share) / AT_ONCE) * AT_ONCE
      const order = draws('uniform', KEYS, checks)
      const admitted = new Uint32Array(KEYS)
      const costs: number[] = []
      for (let first = 0; first < checks; first += AT_ONCE) {
        await redis.config('RESETSTAT')
        const decisions = await Promise.all(
          Array.from(order.subarray(first, first + AT_ONCE), async (place) => {
            if ((await limiter.check(names[place]!)).allowed) admitted[place]!++
          }),
        )
        const stats = await redis.info('commandstats')
        const used = Number(/cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(stats)?.[1])
        // The first third warms up, and loads the script.
        if (first > checks / 3) costs.push(used / decisions.length)
      }
      if (admitted.some((count) => count > LIMIT)) throw new Error('admitted more than the limit')
      redis.disconnect()
      await limiter.close()
      await store.close()
      return { [US]: quantile(costs, 0.5) }
    },
  }
}

export const lua: Question = {
  name: 'lua',
  title: 'The algorithms in Redis',
  cases: [
    {
      name: 'in Lua, decisions in batches',
      redis: true,
      contenders: [
        contender(FIXED, fixedWindow({ limit: LIMIT, window: '1h' })),
        contender('sliding window', slidingWindow({ limit: LIMIT, window: '1h' })),
        contender('token bucket', tokenBucket({ capacity: LIMIT, refill: 1, per: '1h' })),
        contender('leaky bucket', leakyBucket({ capacity: LIMIT, leak: 1, per: '1h' })),
        contender('sliding log', slidingLog({ limit: LIMIT, window: '1h' })),
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
