import { fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { connect } from './connect.ts'
import type { Audit, Count, Counts } from './job.ts'

type Table = ReturnType<ReturnType<typeof redisStore>['open']>

interface Read {
  readonly key: string
  readonly a: number
  readonly b: number
  readonly elsewhere: number
}

/** Keys read by one command. */
const MOST_KEYS = 500

/** What the store has counted and booked, as a new node sees it. */
export async function audit({ target, limiters }: Audit): Promise<Counts> {
  const client = await connect(target)
  const store = redisStore(client)
  const counts: Counts = {}
  try {
    for (const { name, window, keys } of limiters) {
      const limit = fixedWindow({ limit: 1, window }) as Parameters<typeof store.open>[1]
      const read: Record<string, Count> = {}
      for (const key of keys) read[key] = { counted: 0, booked: 0 }
      // Each key is on one shard only: counts on another one would show up as too many.
      for (let shard = 0; shard < (store.shards ?? 1); shard++) {
        const table = store.open(name, limit, name, shard)
        for (let first = 0; first < keys.length; first += MOST_KEYS)
          await readKeys(table, keys.slice(first, first + MOST_KEYS), read)
      }
      counts[name] = read
    }
  } finally {
    await store.close()
    if (typeof client !== 'string') client.disconnect()
  }
  return counts
}

async function readKeys(table: Table, keys: readonly string[], read: Record<string, Count>): Promise<void> {
  const { now, results } = await table.exchange({
    ...{ node: 'a0d17'.padEnd(16, '0'), sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
    operations: keys.map((key) => ['read', key] as const),
  })
  // For a fixed window, a is its end and b its count.
  for (const { key, a, b, elsewhere } of results as readonly Read[]) {
    const before = read[key] as Count
    read[key] = { counted: before.counted + (a > now ? b : 0), booked: before.booked + elsewhere }
  }
}
