import { expect, test } from 'vitest'
import { StoreError } from './errors.ts'
import { createLimiter, fixedWindow, memoryStore, type Store } from './index.ts'
import { ManualClock } from './testing.ts'

const SHARDS = 8
const keys = Array.from({ length: 100 }, (_, n) => `key${n}`)

/** A limiter over several tables of a store that is there or not. */
function setUp() {
  const clock = new ManualClock()
  const inner = memoryStore({ clock })
  const server = { isDown: false, asked: new Set<number>() }
  const store: Store = {
    shards: SHARDS,
    open: (name, limit, group, shard = 0) => {
      const table = inner.open(`${name}#${shard}`, limit, group, shard)
      return {
        known: true,
        now: () => table.now(),
        latest: () => table.latest(),
        exchange: async (request) => {
          server.asked.add(shard)
          if (server.isDown) throw new StoreError('ERR_STORE_AWAY', 'the store is down')
          return table.exchange(request)
        },
      }
    },
    close: () => inner.close(),
  }
  const limit = fixedWindow({ limit: 1000, window: '1h' })
  const limiter = createLimiter({
    name: 'api',
    limit,
    mode: 'hard',
    onOutage: 'deny',
    store,
    clock,
    random: () => 1,
  })
  return { clock, server, limiter }
}

test('once one table of a store answers again the others are asked at once', async () => {
  const { clock, server, limiter } = setUp()
  const check = (its: readonly string[]) => Promise.all(its.map((key) => limiter.check(key)))
  const [first] = keys as [string]
  await check([first])
  const [its] = server.asked
  const others: string[] = []
  for (const key of keys) {
    server.asked.clear()
    await check([key])
    if (!server.asked.has(its as number)) others.push(key)
  }
  server.isDown = true
  for (let time = 0; time < 8; time++) {
    await clock.advance(5000)
    await check(keys)
  }
  await clock.advance(5000)
  // The others have just been asked once more, in vain: by themselves they would be asked in 5 s.
  await check(others)
  server.isDown = false
  await check([first])
  // Nobody has asked for a key of theirs.
  await clock.advance(0)
  expect(limiter.stats().degraded).toBe(false)
  expect((await check(keys)).every(({ reason }) => reason !== 'outage')).toBe(true)
  await limiter.close()
})
