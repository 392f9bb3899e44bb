import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, StoreError, slidingLog, tokenBucket } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMITS = {
  'fixed window': fixedWindow({ limit: 1000, window: '1h' }),
  'sliding log': slidingLog({ limit: 1000, window: '1h' }),
  'token bucket': tokenBucket({ capacity: 1000, refill: 1, per: '1h' }),
}

it.each(
  (['soft', 'leased'] as const).flatMap((mode) =>
    Object.entries(LIMITS).map(([name, limit]) => [mode, name, limit] as const),
  ),
)('%s, %s: a reservation is settled by itself, whatever else is owed or fails', async (mode, _, limit) => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  let fails = false
  const store = farStore(memory, async (table, request) => {
    if (fails && request.operations.some(([, key]) => key === 'key-1'))
      throw new StoreError('ERR_STORE_REPLY', 'it does not')
    return table.exchange(request)
  })
  const node = createLimiter({ name: 'api', limit, mode, store, clock, random: () => 0.5 })
  const keys = Array.from({ length: 600 }, (_, place) => `key-${place}`)
  for (const key of keys) await node.check(key)
  const call = await node.reserve('key', 10)
  await node.flush()
  for (const key of keys) await node.check(key)
  fails = true
  const { storeEntries } = node.stats()
  expect(await call.settle(5)).toBe(true)
  expect(node.stats().storeEntries - storeEntries).toBeLessThan(10)
  fails = false
  const other = createLimiter({ name: 'api', limit, store: memory, clock })
  // Less what the next check takes.
  if (mode === 'soft') expect((await other.peek('key')).remaining).toBe(994)
  await Promise.all([node.close(), other.close()])
})
