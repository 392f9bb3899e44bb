import { expect, it, vi } from 'vitest'
import { TurningClock } from '../../test/turning-clock.ts'
import {
  createLimiter,
  fixedWindow,
  type Limits,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'
import { HeldKeys } from './held-keys.ts'

const minute = slidingWindow({ limit: 45, window: '1m' })
const LIMITS: Record<string, Limits> = {
  'fixed-window': fixedWindow({ limit: 20, window: '10s' }),
  'sliding-window': slidingWindow({ limit: 20, window: '10s' }),
  'sliding-log': slidingLog({ limit: 20, window: '10s' }),
  'token-bucket': tokenBucket({ capacity: 20, refill: 3, per: '1s' }),
  'a window and a longer one': [fixedWindow({ limit: 20, window: '10s' }), minute],
  'a window and a bucket': [minute, tokenBucket({ capacity: 20, refill: 3, per: '1s' })],
  'a bucket and two windows': [
    tokenBucket({ capacity: 20, refill: 3, per: '1s' }),
    fixedWindow({ limit: 30, window: '10s' }),
    minute,
  ],
  'a window and a log': [fixedWindow({ limit: 30, window: '20s' }), slidingLog({ limit: 20, window: '10s' })],
}

// A check that is given options, be it none, goes the long way.
const WAYS = { short: undefined, long: {} }

it.each(
  Object.entries(LIMITS).flatMap(([name, limit]) =>
    (['soft', 'leased'] as const).map((mode) => [name, mode, limit] as const),
  ),
)('%s, %s: a held key gets by the short way what it gets by the long one', async (_, mode, limit) => {
  const told = await Promise.all(
    Object.values(WAYS).map(async (options) => {
      const clock = new ManualClock(1_000_000)
      const store = memoryStore({ clock })
      const limiter = createLimiter({ name: 'api', limit, mode, store, clock, random: () => 0.5 })
      const decisions: unknown[] = []
      await clock.advance(100)
      for (let turn = 0; turn < 300; turn++) {
        const answer = options === undefined ? limiter.check('key') : limiter.check('key', options)
        await clock.advance(turn % 7 === 0 ? 900 : 10)
        decisions.push(await answer)
        decisions.push(options === undefined ? limiter.checkSync('key') : limiter.checkSync('key', options))
        if (turn === 150) await limiter.block('key', '3s')
      }
      await limiter.flush()
      decisions.push(limiter.stats())
      await limiter.close()
      const sync = () =>
        options === undefined ? limiter.checkSync('key') : limiter.checkSync('key', options)
      expect(sync).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
      return decisions
    }),
  )
  expect(told[0]).toEqual(told[1])
})

it.each(
  Object.entries(LIMITS).flatMap(([name, limit]) =>
    (['soft', 'leased'] as const).flatMap((mode) =>
      [1, 2, 3, 4].map((seed) => [name, mode, seed, limit] as const),
    ),
  ),
)(
  '%s, %s: so it is for nodes that share keys, whatever else is done to these, seed %i',
  async (_, mode, seed, limit) => {
    const told = await Promise.all(
      Object.values(WAYS).map(async (options) => {
        const random = seededRandom(seed)
        const clock = new ManualClock(1_000_000)
        const store = memoryStore({ clock })
        const make = () =>
          createLimiter({ name: 'api', limit, mode, store, clock, random: seededRandom(seed), maxKeys: 4 })
        const nodes = [make(), make()]
        const decisions: unknown[] = []
        for (let turn = 0; turn < 600; turn++) {
          const node = nodes[Math.floor(random() * 2)]!
          const key = `key-${Math.floor(random() ** 2 * 6)}`
          const verb = random()
          if (verb < 0.01) await Promise.all([node.block(key, '1s'), clock.advance(1)])
          else if (verb < 0.02) await Promise.all([node.reset(key), clock.advance(1)])
          else if (verb < 0.04) await Promise.all([node.refund(key), clock.advance(1)])
          else if (verb < 0.05) await Promise.all([node.penalty(key, 3), clock.advance(1)])
          else if (verb < 0.06) await Promise.all([node.flush(), clock.advance(1)])
          else if (verb < 0.6)
            decisions.push(options === undefined ? node.checkSync(key) : node.checkSync(key, options))
          else {
            const answer = options === undefined ? node.check(key) : node.check(key, options)
            await clock.advance(1)
            decisions.push(await answer)
          }
          if (random() < 0.2) await clock.advance(Math.floor(random() * 1000))
        }
        for (const node of nodes) {
          decisions.push(node.stats())
          await node.close()
        }
        return decisions
      }),
    )
    expect(told[0]).toEqual(told[1])
  },
)

it.each([
  [() => true, undefined],
  [undefined, () => true],
])('lists are asked first, also of a held key', async (allow, deny) => {
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 20, window: '10s' }),
    mode: 'soft',
    clock: new ManualClock(1_000_000),
    ...(allow && { allow }),
    ...(deny && { deny }),
  })
  for (let check = 0; check < 3; check++)
    expect(limiter.checkSync('key')).toMatchObject({
      allowed: allow !== undefined,
      remaining: allow ? 20 : 0,
    })
  await limiter.close()
})

it.each([
  ['fixed window', fixedWindow({ limit: 20, window: '1m' })],
  ['sliding window', slidingWindow({ limit: 20, window: '1m' })],
  ['token bucket', tokenBucket({ capacity: 20, refill: 1, per: '1m' })],
])('%s: refusals of a burst share a reading, but for the last second', async (_, limit) => {
  const clock = new TurningClock(60_000_000)
  const reading = vi.spyOn(clock, 'monotonic')
  const limiter = createLimiter({ name: 'api', limit, mode: 'soft', clock })
  const burst = (checks: number) => Array.from({ length: checks }, () => limiter.checkSync('key'))
  burst(20)
  await limiter.flush()
  clock.endTurn()
  burst(3)
  reading.mockClear()
  const decisions = burst(64)
  expect(reading.mock.calls.length).toBeLessThan(40)
  for (const decision of decisions) expect(decision).toEqual(decisions[0])
  const [{ allowed, retryAfterMs } = { allowed: true, retryAfterMs: 0 }] = decisions
  expect([allowed, retryAfterMs > 50_000]).toEqual([false, true])
  await clock.advance(retryAfterMs - 900)
  for (const decision of burst(8)) expect(decision).toMatchObject({ allowed: false, retryAfterMs: 900 })
  // In the same turn, its cost comes to be free.
  clock.hold(900)
  expect(burst(1)[0]).toMatchObject({ allowed: true })
  expect(limiter.stats()).toMatchObject({ admitted: 21, denied: 75 })
  await limiter.close()
})

it.each(['soft', 'leased'] as const)(
  '%s: a string too long for a key is refused without being read',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const limiter = createLimiter({ name: 'api', limit: minute, mode, store: memoryStore({ clock }), clock })
    await limiter.check('key')
    const finding = vi.spyOn(HeldKeys.prototype, 'findRow')
    await expect(limiter.check('x'.repeat(1025))).rejects.toMatchObject({ code: 'ERR_KEY' })
    expect(() => limiter.checkSync('x'.repeat(1025))).toThrow(expect.objectContaining({ code: 'ERR_KEY' }))
    expect(finding).not.toHaveBeenCalled()
    await limiter.check('key')
    expect(finding).toHaveBeenCalledTimes(1)
    finding.mockRestore()
    await limiter.close()
  },
)
