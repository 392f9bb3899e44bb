import { fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { connect } from './connect.ts'
import type { Audit, Count, Counts } from './job.ts'

type Table = ReturnType<ReturnType<typeof redisStore>['open']>

/** Keys read by one command. */
const MOST_KEYS = 500

/** What the store has counted and booked, as a node that was not there before sees it. */
export async function audit({ target, limiters }: Audit): Promise<Counts> {
  const client = await connect(target)
  const store = redisStore(client)
  const counts: Counts = {}
  try {
    for (const { name, window, keys } of limiters) {
      const limit = fixedWindow({ limit: 1, window }) as Parameters<typeof store.open>[1]
      const table = store.open(name, limit)
      const read: Record<string, Count> = {}
      for (let first = 0; first < keys.length; first += MOST_KEYS)
        Object.assign(read, await readKeys(table, keys.slice(first, first + MOST_KEYS)))
      counts[name] = read
    }
  } finally {
    await store.close()
    if (typeof client !== 'string') client.disconnect()
  }
  return counts
}

async function readKeys(table: Table, keys: readonly string[]): Promise<Record<string, Count>> {
  const { now, results } = await table.exchange({
    ...{ node: 'a0d17'.padEnd(16, '0'), sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
    operations: keys.map((key) => ['read', key] as const),
  })
  const read = (results as readonly { key: string; a: number; b: number; elsewhere: number }[]).map(
    // Of a fixed window: a is its end, b its count.
    ({ key, a, b, elsewhere }) => [key, { counted: a > now ? b : 0, booked: elsewhere }] as const,
  )
  return Object.fromEntries(read)
}
