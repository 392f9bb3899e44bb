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

it.each(
  (['capped', 'leased'] as const).flatMap((mode) =>
    (
      [
        tokenBucket({ capacity: 100, refill: 100, per: '1m' }),
        slidingWindow({ limit: 100, window: '1m' }),
        slidingLog({ limit: 100, window: '1m' }),
      ] as Limit[]
    ).map((limit) => [mode, limit.algorithm, limit] as const),
  ),
)(
  '%s, %s: a node that is alone admits when it said it would, though it asked for another check meanwhile',
  async (mode, _, limit) => {
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

it.each(
  (['capped', 'leased'] as const).flatMap((mode) =>
    (
      [
        tokenBucket({ capacity: 100, refill: 100, per: '1m' }),
        slidingWindow({ limit: 100, window: '1m' }),
        slidingLog({ limit: 100, window: '1m' }),
      ] as Limit[]
    ).map((limit) => [mode, limit.algorithm, limit] as const),
  ),
)(
  '%s, %s: who comes somewhat later than told is admitted, though another check was refused in between',
  async (mode, _, limit) => {
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
