import { expect, it } from 'vitest'
import { learningStore } from '../../test/far-store.ts'
import { BOOKING } from '../../test/modes.ts'
import {
  createLimiter,
  fixedWindow,
  leakyBucket,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { faultyStore, ManualClock, seededRandom } from '../testing.ts'

const LIMITS = [
  slidingWindow({ limit: 200, window: '1s' }),
  slidingLog({ limit: 200, window: '1s' }),
  tokenBucket({ capacity: 200, refill: 200, per: '1s' }),
  leakyBucket({ capacity: 200, leak: 200, per: '1s' }),
  fixedWindow({ limit: 200, window: '1s' }),
] as const

it.each(
  (['capped', 'leased'] as const).flatMap((mode) =>
    LIMITS.map((limit) => [mode, limit.algorithm, limit] as const),
  ),
)(
  '%s, %s: far from its store a node that is rushed by itself does not take the store for away',
  async (mode, _, limit) => {
    const random = seededRandom(1)
    const clock = new ManualClock(1_000_000)
    const store = faultyStore(memoryStore({ clock }), { clock, latency: 20 })
    const limiter = createLimiter({
      name: 'api',
      limit,
      store,
      clock,
      random,
      timeout: 100,
      ...BOOKING[mode],
    })
    const answers: Record<string, number> = {}
    for (let ms = 0; ms < 8000; ms++) {
      for (let n = 0; n < 4; n++) {
        void Promise.resolve(limiter.check('a')).then((d) => {
          const name = d.allowed ? 'allowed' : (d.reason as string)
          answers[name] = (answers[name] ?? 0) + 1
        })
      }
      await clock.advance(1)
    }
    await clock.advance(200)
    const { outage = 0, limit: refused = 0, allowed = 0 } = answers
    expect(outage + refused + allowed).toBe(32_000)
    expect(allowed).toBeGreaterThan(1400)
    // Those that wait for what a slice's end takes away may be a round trip too late.
    expect(outage / 32_000).toBeLessThan(0.01)
    await Promise.all([limiter.close(), clock.advance(5000)])
  },
)

const BUCKET = tokenBucket({ capacity: 1000, refill: 1000, per: '10s' })

it.each([
  ['capped', 'sliding window', slidingWindow({ limit: 1000, window: '10s' })],
  ['capped', 'bucket', BUCKET],
  ['leased', 'sliding log', slidingLog({ limit: 1000, window: '10s' })],
  ['leased', 'bucket', BUCKET],
] as const)(
  '%s, %s: nobody waits in vain for what seems free here while a store whose clock was put back frees nothing',
  async (mode, _, limit) => {
    const clock = new ManualClock(1_000_000)
    let put = 0
    class PutClock extends ManualClock {
      override wall = () => clock.wall() + put
      override monotonic = () => clock.monotonic() + put
    }
    const arrived = () => new Promise<void>((resolve) => clock.setTimer(resolve, 300))
    const store = learningStore(memoryStore({ clock: new PutClock() }), clock, async (table, request) => {
      await arrived()
      return table.exchange({ ...request, deadline: 0, until: Infinity })
    })
    const random = seededRandom(1)
    const limiter = createLimiter({
      name: 'api',
      limit,
      store,
      clock,
      random,
      timeout: '2s',
      ...BOOKING[mode],
    })
    let unanswered = 0
    for (let ms = 0; ms < 40_000; ms += 5) {
      if (ms === 12_000) put = -60_000
      void Promise.resolve(limiter.check('a')).then(({ reason }) => {
        if (reason === 'outage') unanswered++
      })
      await clock.advance(5)
    }
    expect(unanswered).toBe(0)
    await Promise.all([limiter.close(), clock.advance(5000)])
  },
)
