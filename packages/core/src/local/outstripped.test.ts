import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import {
  createLimiter,
  type Decision,
  fixedWindow,
  type Limit,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each(['leased', 'capped', 'soft'] as const)(
  '%s: a check that is refused for what others ahead of it are about to take is told when that is over',
  async (mode) => {
    const clock = new ManualClock(3_600_000)
    const store = farStore(memoryStore({ clock }), async (table, request) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10))
      const reply = await table.exchange(request)
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10))
      return reply
    })
    const modes = {
      leased: { mode: 'leased' },
      capped: { mode: 'soft', sync: { maxOvershoot: 0.1 } },
      soft: { mode: 'soft' },
    } as const
    const limit = fixedWindow({ limit: 10, window: '1h' })
    const limiter = createLimiter({ name: 'api', limit, clock, store, random: () => 0.5, ...modes[mode] })
    const peek = limiter.peek('a')
    await clock.advance(1)
    const checks = [8, 5].map((cost) => limiter.check('a', { cost }))
    await clock.advance(100)
    await peek
    const [first, second] = await Promise.all(checks)
    expect(first).toMatchObject({ allowed: true })
    expect(second).toMatchObject({ allowed: false, reason: 'limit' })
    expect(second?.retryAfterMs).toBeGreaterThan(3_500_000)
    await Promise.all([limiter.close(), clock.advance(10_000)])
  },
)

it.each(
  [
    ['token bucket', tokenBucket({ capacity: 10, refill: 10, per: '1000s' })],
    ['sliding window', slidingWindow({ limit: 10, window: '1000s' })],
    ['sliding log', slidingLog({ limit: 10, window: '1000s' })],
  ].flatMap(([name, limit]) =>
    [
      [2, 6, 5],
      [4, 5, 3],
      [1, 8, 6],
    ].map(
      (costs) => ({ name, limit, costs }) as { name: string; limit: Limit; costs: [number, number, number] },
    ),
  ),
)('$name, $costs used, ahead and asked for: when its cost is free is told exactly', async (its) => {
  const { limit } = its
  const [used, ahead, cost] = its.costs
  const clock = new ManualClock(3_600_000)
  const memory = memoryStore({ clock })
  await createLimiter({ name: 'api', limit, clock, store: memory }).check('a', { cost: used })
  await clock.advance(50_000)
  const store = farStore(memory, async (table, request) => {
    await new Promise<void>((resolve) => clock.setTimer(resolve, 10))
    return table.exchange(request)
  })
  const limiter = createLimiter({ name: 'api', limit, clock, store, random: () => 0.5, mode: 'leased' })
  const check = async (cost: number) => {
    const answer = limiter.check('a', { cost })
    await clock.advance(100)
    return answer
  }
  const peek = limiter.peek('a')
  await clock.advance(1)
  const answers = [ahead, cost].map((cost) => limiter.check('a', { cost }))
  await clock.advance(99)
  await peek
  const [first, second] = (await Promise.all(answers)) as [Decision, Decision]
  expect([first.allowed, second.allowed]).toEqual([true, false])
  await clock.advance(second.retryAfterMs - 2000)
  expect(await check(cost)).toMatchObject({ allowed: false, reason: 'limit' })
  await clock.advance(2000)
  expect(await check(cost)).toMatchObject({ allowed: true })
  await Promise.all([limiter.close(), clock.advance(10_000)])
})
