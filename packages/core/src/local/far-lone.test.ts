import { expect, it } from 'vitest'
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
