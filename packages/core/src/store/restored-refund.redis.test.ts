import { afterAll, expect, it } from 'vitest'
import { startSlowlyExpiringRedis } from '../../test/slowly-expiring-redis.ts'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { slidingLog } from '../algorithms/sliding-log/sliding-log.ts'
import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import { memoryStore } from './memory.ts'
import { redisStore } from './redis/redis-store.ts'
import type { Operation } from './store.ts'

let now = 0
let sequence = 0
const clock: Clock = { wall: () => now, monotonic: () => now, setTimer: () => 0, clearTimer: () => {} }
const redis = await startSlowlyExpiringRedis()
const stores = {
  memory: memoryStore({ clock }),
  Redis: redisStore(redis.url, { now: () => now, prefix: 'restored-refund' }),
}
afterAll(async () => {
  await stores.Redis.close()
  await redis.stop()
})

it.each(['memory', 'Redis'] as const)(
  '%s: what a node tells a log that it admitted and gave back, of an entry that has expired, takes nothing of others',
  async (what) => {
    const window = 10_000
    const table = stores[what].open('expired', slidingLog({ limit: 100, window }) as Algorithm)
    const exchange = async (node: string, operation: Operation) => {
      const once = { node: node.padStart(16, '0'), sequence: ++sequence, deadline: now }
      const request = { ...once, since: -1, presence: 0, extra: 0, operations: [operation] }
      return (await table.exchange(request)).results[0]
    }
    now = 1_000_000
    const slice = now / window
    await exchange('b1', ['restore', 'a', 0, slice, [8, 0, 0, 0], [0, 0, 0, 0], null, [now, 8], []])
    // 5 were admitted longer ago than a window, and given back then.
    const late = [now - window - 1, 5]
    await exchange('a1', ['restore', 'a', 0, slice, [0, 0, 0, 0], [5, 5, 0, 0], null, [], late])
    const [decision] = (await exchange('c1', ['take', 'a', 93])) as Decision[]
    expect(decision?.allowed).toBe(false)
    const [next] = (await exchange('c1', ['take', 'a', 92])) as Decision[]
    expect(next?.allowed).toBe(true)
  },
)
