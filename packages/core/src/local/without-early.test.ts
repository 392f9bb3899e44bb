import { expect, it } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  memoryStore,
  type Store,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

/** As over a network: it does not tell that nobody else has the counts. Counts the commands. */
function counted(store: Store): { readonly store: Store; commands: number } {
  const counts = {
    commands: 0,
    store: {
      open: (...name: Parameters<Store['open']>) => {
        const table = store.open(...name)
        const exchange: typeof table.exchange = (request) => {
          counts.commands++
          return table.exchange(request)
        }
        return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
      },
      close: () => store.close(),
    },
  }
  return counts
}

it.each<readonly [string, Limit]>([
  ['fixed window', fixedWindow({ limit: 100, window: '1m' })],
  ['sliding window', slidingWindow({ limit: 100, window: '1m' })],
  ['bucket', tokenBucket({ capacity: 100, refill: 100, per: '1m' })],
])('soft without early syncs, %s: refused checks ask the store no more often', async (_, limit) => {
  const clock = new ManualClock(1_000_000)
  const counts = counted(memoryStore({ clock }))
  const sync = { early: false }
  const shared = { name: 'api', limit, store: counts.store, clock, random: seededRandom(1), sync }
  const limiter = createLimiter({ ...shared, mode: 'soft' })
  for (let check = 0; check < 110; check++) await limiter.check('a')
  await clock.advance(3000)
  const before = counts.commands
  for (let ms = 0; ms < 2000; ms++) {
    limiter.checkSync('a')
    await clock.advance(1)
  }
  expect(counts.commands - before).toBeLessThan(10)
  await limiter.close()
})
