import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import type { Store } from '../store/store.ts'
import { ManualClock } from '../testing.ts'

const LIMITS = {
  bucket: tokenBucket({ capacity: 100, refill: 100, per: '1000s' }),
  'fixed window': fixedWindow({ limit: 100, window: '1000s' }),
  'sliding window': slidingWindow({ limit: 100, window: '1000s' }),
  'sliding log': slidingLog({ limit: 100, window: '1000s' }),
}

/** A store that can lose all that it has. */
function losingStore(clock: ManualClock) {
  let present = memoryStore({ clock })
  const store: Store = {
    open: (...its) => {
      let of = present
      let opened = of.open(...its)
      const table = () => {
        if (of !== present) {
          of = present
          opened = of.open(...its)
        }
        return opened
      }
      return {
        known: true,
        now: () => table().now(),
        latest: () => table().latest(),
        exchange: async (request) => table().exchange(request),
      }
    },
    close: () => present.close(),
  }
  const lose = () => {
    present = memoryStore({ clock })
  }
  return { store, lose }
}

it.each(
  (['leased', 'soft', 'hard'] as const).flatMap((mode) =>
    Object.entries(LIMITS).map(([name, limit]) => [mode, name, limit] as const),
  ),
)('%s: what the store lost of a %s, and nobody gave it again, does not go back', async (mode, _, limit) => {
  const clock = new ManualClock(1_000_000)
  const { store, lose } = losingStore(clock)
  const options = { name: 'api', limit, store, clock, random: () => 0.5, maxKeys: 16 }
  const node = createLimiter({ ...options, mode })
  const call = await node.reserve('key', 50, { settleAfter: '1h' })
  expect(call.allowed).toBe(true)
  await node.flush()
  for (let place = 0; place < 100; place++) await node.check(`key-${place}`)
  await node.flush()
  await clock.advance(3000)
  lose()
  await node.check('another')
  await node.flush()
  await clock.advance(3000)
  await node.flush()
  const other = createLimiter(options)
  let taken = 0
  while ((await other.check('key')).allowed) taken++
  await call.release()
  await node.flush()
  while ((await other.check('key')).allowed) taken++
  expect(taken).toBe(100)
  await Promise.all([node.close(), other.close()])
})
