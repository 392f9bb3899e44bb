import { expect, it } from 'vitest'
import { BOOKING } from '../../test/modes.ts'
import {
  createLimiter,
  type Limit,
  type LimiterOptions,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

const CASES = (['capped', 'leased'] as const).flatMap((mode) =>
  (
    [
      tokenBucket({ capacity: 100, refill: 100, per: '1m' }),
      slidingWindow({ limit: 100, window: '1m' }),
      slidingLog({ limit: 100, window: '1m' }),
    ] as Limit[]
  ).map((limit) => [mode, limit.algorithm, limit] as const),
)

/** A node that is alone, with a key of which all is used. */
async function usedUp(limit: Limit, mode: keyof typeof BOOKING) {
  const clock = new ManualClock(1_000_000)
  const random = seededRandom(1)
  const node = createLimiter({
    name: 'api',
    limit,
    store: memoryStore({ clock }),
    clock,
    random,
    ...BOOKING[mode],
  } as LimiterOptions)
  for (let check = 0; check < 100; check++) {
    await node.check('a')
    await clock.advance(20)
  }
  return { clock, node }
}

it.each(CASES)(
  '%s, %s: a node that is alone admits when it said it would, though it asked for another check meanwhile',
  async (mode, _, limit) => {
    const { clock, node } = await usedUp(limit, mode)
    let broken = 0
    let waits = 0
    let due = clock.monotonic()
    let waited = false
    for (let ms = 0; ms < 120_000; ms += 5) {
      if (clock.monotonic() >= due) {
        const { allowed, retryAfterMs } = await node.check('a', { cost: 3 })
        if (!allowed) waits++
        if (!allowed && waited) broken++
        waited = !allowed
        due = clock.monotonic() + retryAfterMs
      }
      // Never passes: nothing is taken by it.
      if (ms % 100 === 0) void node.check('a', { cost: 50 })
      await clock.advance(5)
    }
    expect(waits).toBeGreaterThan(20)
    expect(broken).toBe(0)
    await node.close()
  },
)

it.each(CASES)(
  '%s, %s: who comes somewhat later than told is admitted, though another check was refused in between',
  async (mode, _, limit) => {
    const { clock, node } = await usedUp(limit, mode)
    let broken = 0
    let waits = 0
    for (let turn = 0; turn < 60; turn++) {
      const { allowed, retryAfterMs } = await node.check('a', { cost: 3 })
      if (allowed) continue
      waits++
      for (let ms = 0; ms < retryAfterMs + 30; ms += 20) {
        await clock.advance(20)
        // Never passes: nothing is taken by it.
        await node.check('a', { cost: 50 })
      }
      if (!(await node.check('a', { cost: 3 })).allowed) broken++
    }
    expect(waits).toBeGreaterThan(10)
    expect(broken).toBe(0)
    await node.close()
  },
)
