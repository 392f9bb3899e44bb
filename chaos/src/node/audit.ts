import { createLimiter, fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { connect } from './connect.ts'
import type { Audit, Counts } from './job.ts'

/** Above what can have been admitted, so that what remains tells all. */
const LIMIT = 1_000_000_000

/** What the store has counted, as a limiter that was not there before sees it. */
export async function audit({ target, limiters }: Audit): Promise<Counts> {
  const client = await connect(target)
  const store = redisStore(client)
  const counts: Counts = {}
  try {
    for (const { name, window, keys } of limiters) {
      const limit = fixedWindow({ limit: LIMIT, window })
      const limiter = createLimiter({ name, store, limit, timeout: '10s', onOutage: 'throw' })
      const remaining = await Promise.all(
        keys.map(async (key) => [key, (await limiter.peek(key)).remaining] as const),
      )
      counts[name] = Object.fromEntries(remaining.map(([key, left]) => [key, LIMIT - 1 - left]))
      await limiter.close()
    }
  } finally {
    await store.close()
    if (typeof client !== 'string') client.disconnect()
  }
  return counts
}
