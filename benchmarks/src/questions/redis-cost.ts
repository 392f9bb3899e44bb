import { createLimiter, fixedWindow, type Mode } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { Redis } from 'ioredis'
import { keyNames } from '../keys.ts'
import type { Contender, Question } from '../question.ts'

// What one key's entry in a command costs Redis and the network: the factors of `docs/scaling.md`.

const KEYS = 20_000
const PASSES = 6
const LIMIT = 1_000_000

interface Used {
  readonly cpu: number
  readonly received: number
  readonly sent: number
}

/** What the server says it has used: seconds of CPU, bytes. */
async function used(redis: Redis): Promise<Used> {
  const info = await redis.info()
  const number = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
  return {
    cpu: number('used_cpu_user') + number('used_cpu_sys'),
    received: number('total_net_input_bytes'),
    sent: number('total_net_output_bytes'),
  }
}

function contender(name: string, mode: Mode): Contender {
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const names = keyNames(Math.ceil(KEYS * share))
      const store = redisStore(redisUrl)
      const redis = new Redis(redisUrl)
      const limiter = createLimiter({
        name: 'bench',
        limit: fixedWindow({ limit: LIMIT, window: '1d' }),
        mode,
        store,
        maxKeys: 2 * KEYS,
        timeout: '10s',
        // Nothing settles by itself.
        ...(mode === 'hard' ? {} : { sync: { interval: '1h' } }),
      })
      let admitted = 0
      const pass = async () => {
        const decisions = await Promise.all(names.map((name) => limiter.check(name)))
        admitted += decisions.filter(({ allowed }) => allowed).length
        await limiter.flush()
      }
      // Twice: a new key is read before it is settled.
      await pass()
      await pass()
      const before = { ...(await used(redis)), ...limiter.stats() }
      for (let count = 0; count < PASSES; count++) await pass()
      const after = { ...(await used(redis)), ...limiter.stats() }
      if (admitted !== names.length * (PASSES + 2)) throw new Error(`admitted ${admitted}`)
      redis.disconnect()
      await limiter.close()
      await store.close()
      const entries = after.storeEntries - before.storeEntries
      return {
        'µs of Redis CPU an entry': ((after.cpu - before.cpu) * 1e6) / entries,
        'bytes to Redis an entry': (after.received - before.received) / entries,
        'bytes from Redis an entry': (after.sent - before.sent) / entries,
        'entries a command': entries / (after.storeCalls - before.storeCalls),
      }
    },
  }
}

export const redisCost: Question = {
  name: 'redis-cost',
  title: 'What an entry costs Redis',
  cases: [
    {
      name: 'what an entry costs Redis, in full batches',
      redis: true,
      contenders: [contender('hard', 'hard'), contender('soft', 'soft'), contender('leased', 'leased')],
      targets: [],
    },
  ],
}
