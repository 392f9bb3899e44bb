import { expect, inject, it } from 'vitest'
import { createLimiter, fixedWindow, slidingLog, tokenBucket } from './index.ts'
import { redisStore } from './store/redis/redis-store.ts'

const url = inject('redisUrl')
const KEYS = 1500
const LIMITS = [
  fixedWindow({ limit: 100, window: '365d' }),
  slidingLog({ limit: 100, window: '1h' }),
  tokenBucket({ capacity: 100, refill: 1, per: '1h' }),
]

it.each(
  (['hard', 'soft', 'leased'] as const).flatMap((mode) =>
    LIMITS.map((limit) => [mode, limit.algorithm, limit] as const),
  ),
)(
  '%s, %s: what is given back just before a limiter closes has gone back when it has',
  async (mode, algorithm, limit) => {
    const prefix = `closing-${mode}-${algorithm}`
    const store = redisStore(url, { prefix })
    const limiter = createLimiter({ name: 'api', limit, store, mode, timeout: '5s' })
    const inHundreds = async <T>(each: (key: string) => Promise<T>): Promise<T[]> => {
      const all: T[] = []
      for (let at = 0; at < KEYS; at += 100)
        all.push(...(await Promise.all(Array.from({ length: 100 }, (_, place) => each(`key-${at + place}`)))))
      return all
    }
    const calls = await inHundreds((key) => limiter.reserve(key, 50))
    await limiter.flush()
    const told = Promise.all(calls.map((call) => call.release()))
    await limiter.close()
    await store.close()
    expect((await told).filter((is) => !is)).toEqual([])
    const again = redisStore(url, { prefix })
    const counted = createLimiter({ name: 'api', limit, store: again, timeout: '5s' })
    const left = await inHundreds((key) => counted.peek(key))
    // Of a bucket what drained before the store counted it does not go back, and is gone as soon.
    expect(left.filter(({ remaining }) => remaining < 98)).toEqual([])
    await counted.close()
    await again.close()
  },
)
