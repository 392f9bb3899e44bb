import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, slidingWindow } from '../index.ts'
import { StoreOffset } from '../store/redis/offset.ts'
import type { Store } from '../store/store.ts'
import { ManualClock } from '../testing.ts'

/** A way to a store whose time is learnt from its answers, as that of Redis is. */
function learning(clock: ManualClock, isLost: () => boolean): Store {
  const store = memoryStore({ clock })
  const offset = new StoreOffset(0)
  return {
    open: (...names) => {
      const table = store.open(...names)
      return {
        get known() {
          return offset.known
        },
        now: () => Math.floor(offset.at(clock.monotonic())),
        latest: () => offset.latest(clock.monotonic(), clock.wall()),
        exchange: async (request) => {
          const sent = clock.monotonic()
          if (isLost()) return new Promise(() => {})
          const reply = await table.exchange(request)
          offset.learn(reply.now, sent, clock.monotonic(), sent)
          return reply
        },
      }
    },
    close: () => store.close(),
  }
}

it.each([
  ['a fixed window', fixedWindow({ limit: 10, window: '1s' }), 1100, 10],
  ['a sliding window', slidingWindow({ limit: 10, window: '1s' }), 2100, 10],
  ['a sliding window, a tenth of which still counts', slidingWindow({ limit: 10, window: '1s' }), 1900, 9],
] as const)(
  'what was admitted before the store’s time was known is not in the way once that of %s is over',
  async (_, limit, ms, free) => {
    const clock = new ManualClock(1_000_000)
    let isLost = true
    const store = learning(clock, () => isLost)
    const options = {
      name: 'api',
      limit,
      clock,
      store,
      random: () => 0.5,
      sync: { interval: '10s' },
    } as const
    const limiter = createLimiter({ ...options, mode: 'soft' })
    for (let n = 0; n < 10; n++) expect(limiter.checkSync('a').allowed).toBe(true)
    await clock.advance(ms)
    isLost = false
    await limiter.check('b')
    isLost = true
    let allowed = 0
    for (let n = 0; n < 10; n++) if (limiter.checkSync('a').allowed) allowed++
    expect(allowed).toBe(free)
    isLost = false
    await Promise.all([limiter.close(), clock.advance(20_000)])
  },
)
