import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, slidingLog, tokenBucket } from './index.ts'
import type { Store, Table } from './store/store.ts'
import { ManualClock } from './testing.ts'

const RESERVATIONS = 2000

/** Carries commands out one after the other: each takes a millisecond, and every hundred operations another one. */
function busyStore(clock: ManualClock): Store & { most: number } {
  const store = memoryStore({ clock })
  let freeAt = 0
  let underWay = 0
  const busy = {
    most: 0,
    open: (name: string, limit: Parameters<Store['open']>[1]) => {
      const table = store.open(name, limit)
      const exchange: Table['exchange'] = async (request) => {
        busy.most = Math.max(busy.most, ++underWay)
        freeAt = Math.max(freeAt, clock.monotonic()) + 1 + request.operations.length / 100
        await new Promise<void>((resolve) => clock.setTimer(resolve, freeAt - clock.monotonic()))
        underWay--
        return table.exchange(request)
      }
      return {
        known: true,
        place: table.place,
        now: () => table.now(),
        latest: () => table.latest(),
        exchange,
      } as Table
    },
    close: () => store.close(),
  }
  return busy
}

const WINDOW = fixedWindow({ limit: 100, window: '1h' })
const LOG = slidingLog({ limit: 100, window: '1h' })
const BUCKET = tokenBucket({ capacity: 100, refill: 1, per: '1h' })

test.each(
  (['hard', 'soft', 'leased'] as const).flatMap((mode) =>
    [WINDOW, LOG, BUCKET].flatMap((limit) =>
      [2, 9].map((actual) => [mode, limit.algorithm, actual, limit] as const),
    ),
  ),
)(
  'thousands of reservations that are settled at once share commands, and are not late: %s, %s, of 5 cost %d',
  async (mode, _, actual, limit) => {
    const clock = new ManualClock(1_000_000)
    const store = busyStore(clock)
    let degraded = 0
    const limiter = createLimiter({
      name: 'api',
      limit,
      mode,
      store,
      clock,
      timeout: '100ms',
      random: () => 0.5,
    })
    limiter.on('degraded', () => degraded++)
    const calls: Awaited<ReturnType<typeof limiter.reserve>>[] = []
    for (let at = 0; at < RESERVATIONS; at += 100) {
      const some = Promise.all(
        Array.from({ length: 100 }, (_, place) => limiter.reserve(`key-${at + place}`, 5)),
      )
      await clock.advance(100)
      calls.push(...(await some))
    }
    await clock.advance(5000)
    store.most = 0
    const settled = Promise.all(calls.map((call) => call.settle(actual)))
    await clock.advance(5000)
    const told = await settled
    expect(told.filter((is) => !is)).toEqual([])
    expect(store.most).toBeLessThan(10)
    expect(degraded).toBe(0)
    const closed = limiter.close()
    await clock.advance(5000)
    await closed
  },
)
