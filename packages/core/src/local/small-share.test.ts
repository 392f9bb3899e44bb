import { expect, it } from 'vitest'
import { createLimiter, type Limit, memoryStore, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

const LIMITS: readonly (readonly [name: string, limit: Limit])[] = [
  ['sliding window', slidingWindow({ limit: 100, window: '1m' })],
  ['sliding log', slidingLog({ limit: 100, window: '1m' })],
  ['bucket', tokenBucket({ capacity: 100, refill: 100, per: '1m' })],
]

const CASES = LIMITS.flatMap(([name, limit]) =>
  (['soft', 'leased'] as const).map((mode) => [mode, name, limit] as const),
)

it.each(CASES)(
  '%s, %s: a node whose share of a saturated key is less than one in a turn has its share of it',
  async (mode, _, limit) => {
    const clock = new ManualClock(1_000_020_000)
    const shared = { name: 'api', limit, mode, store: memoryStore({ clock }), clock, random: seededRandom(1) }
    const large = createLimiter(shared)
    const small = createLimiter(shared)
    const allowed = async (node: typeof large, cost: number) => {
      const decision = node.check('a', { cost })
      await clock.advance(0)
      return (await decision).allowed
    }
    let admitted = 0
    // For three minutes: 200 a second on one node, and 3.3 on the other, of 1.7 that come free.
    for (let turn = 0; turn < 1800; turn++) {
      await allowed(large, 20)
      if (turn % 3 === 0 && (await allowed(small, 1))) admitted++
      await clock.advance(100)
    }
    // Of what came free in these minutes 5 to 7 were its share, and more is left over by what costs 20.
    expect(admitted).toBeGreaterThan(30)
    await Promise.all([large.close(), small.close()])
  },
)
