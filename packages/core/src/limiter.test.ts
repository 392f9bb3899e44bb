import { describe, expect, it } from 'vitest'
import { ConfigError } from './errors.ts'
import {
  createLimiter,
  fixedWindow,
  type LimiterOf,
  leakyBucket,
  memoryStore,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from './index.ts'
import type { LimiterOptions, Mode } from './options.ts'
import { ManualClock } from './testing.ts'

const HOUR = 3_600_000
const limits = [
  fixedWindow({ limit: 10, window: '1h' }),
  slidingWindow({ limit: 10, window: '1h' }),
  slidingLog({ limit: 10, window: '1h' }),
  tokenBucket({ capacity: 10, refill: 10, per: '1h' }),
  leakyBucket({ capacity: 10, leak: 10, per: '1h' }),
]
const modes = ['hard', 'soft'] as const
const cases = modes.flatMap((mode) => limits.map((limit) => ({ mode, limit, algorithm: limit.algorithm })))

function setUp<M extends Mode>(mode: M, rest: Partial<LimiterOptions<M>> = {}) {
  const clock = new ManualClock(1000 * HOUR)
  const store = memoryStore({ clock })
  const limit = fixedWindow({ limit: 10, window: '1h' })
  const options: LimiterOptions<M> = { name: 'api', limit, mode, store, clock, random: () => 0.5, ...rest }
  return { clock, store, options, limiter: createLimiter(options) }
}

/** Whether a promise has come to an end. */
function watch(promise: Promise<unknown>): { done: boolean } {
  const state = { done: false }
  const end = () => {
    state.done = true
  }
  promise.then(end, end)
  return state
}

describe.each(cases)('$mode $algorithm', ({ mode, limit }) => {
  const source = mode === 'hard' ? 'store' : 'local'

  it('takes the cost while the limit allows it, and nothing of a refused check', async () => {
    const { limiter } = setUp(mode, { limit })
    const first = await limiter.check('key', { cost: 4 })
    expect(first).toMatchObject({ allowed: true, limit: 10, remaining: 6, retryAfterMs: 0, source })
    expect(first.resetAfterMs).toBeGreaterThan(0)
    expect(first.reason).toBeUndefined()
    expect(first.name).toBeUndefined()
    const refused = await limiter.check('key', { cost: 7 })
    expect(refused).toMatchObject({
      allowed: false,
      limit: 10,
      remaining: 6,
      reason: 'limit',
      delayMs: 0,
      source,
    })
    expect(refused.retryAfterMs).toBeGreaterThan(0)
    expect(Number.isInteger(refused.retryAfterMs)).toBe(true)
    expect(await limiter.check('key', { cost: 6 })).toMatchObject({ allowed: true, remaining: 0 })
    expect(await limiter.check('key')).toMatchObject({ allowed: false, remaining: 0, reason: 'limit' })
    expect(await limiter.check('other')).toMatchObject({ allowed: true, remaining: 9 })
  })

  it('denies a cost above the capacity for ever, taking nothing', async () => {
    const { limiter } = setUp(mode, { limit })
    const refused = await limiter.check('key', { cost: 11 })
    expect(refused).toMatchObject({ allowed: false, reason: 'cost', retryAfterMs: Infinity, remaining: 10 })
    expect(await limiter.check('key', { cost: 10 })).toMatchObject({ allowed: true, remaining: 0 })
  })

  it('is refused at retryAfterMs − 1 and allowed at retryAfterMs', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    await limiter.check('key', { cost: 9 })
    await clock.advance(12_345)
    const { retryAfterMs } = await limiter.check('key', { cost: 5 })
    await clock.advance(retryAfterMs - 1)
    expect(await limiter.check('key', { cost: 5 })).toMatchObject({ allowed: false, retryAfterMs: 1 })
    await clock.advance(1)
    expect(await limiter.check('key', { cost: 5 })).toMatchObject({ allowed: true })
  })

  it('has the full quota back after resetAfterMs', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    const { resetAfterMs } = await limiter.check('key', { cost: 7 })
    await clock.advance(resetAfterMs)
    expect(await limiter.check('key', { cost: 10 })).toMatchObject({ allowed: true })
  })

  it('peeks at the decision that the next check gets, taking nothing', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    for (let turn = 0; turn < 12; turn++) {
      const peeked = await limiter.peek('key')
      expect(await limiter.peek('key')).toEqual(peeked)
      expect(await limiter.check('key')).toEqual(peeked)
      await clock.advance(1000)
    }
    await limiter.block('key', '10m')
    const peeked = await limiter.peek('key')
    expect(peeked).toMatchObject({ allowed: false, reason: 'blocked' })
    expect(await limiter.check('key')).toEqual(peeked)
  })

  it('gives back what is refunded, clamped at zero usage', async () => {
    const { limiter } = setUp(mode, { limit })
    await limiter.check('key', { cost: 10 })
    expect(await limiter.refund('key', 3)).toBe(true)
    expect(await limiter.check('key')).toMatchObject({ allowed: true, remaining: 2 })
    expect(await limiter.refund('key')).toBe(true)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 2 })
    await limiter.refund('key', 1000)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 9 })
    expect(await limiter.refund('never seen', 5)).toBe(true)
    expect(await limiter.check('never seen')).toMatchObject({ remaining: 9 })
  })

  it('blocks for a while', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    await limiter.check('key')
    expect(await limiter.block('key', '2h')).toBe(true)
    const blocked = await limiter.check('key')
    expect(blocked).toMatchObject({ allowed: false, reason: 'blocked', remaining: 0, retryAfterMs: 2 * HOUR })
    expect(await limiter.check('key', { cost: 11 })).toMatchObject({ reason: 'cost', retryAfterMs: Infinity })
    await clock.advance(2 * HOUR - 1)
    expect(await limiter.check('key')).toMatchObject({ allowed: false, reason: 'blocked', retryAfterMs: 1 })
    await clock.advance(1)
    expect(await limiter.check('key')).toMatchObject({ allowed: true })
    await limiter.block('never seen', 1000)
    expect(await limiter.check('never seen')).toMatchObject({ allowed: false, retryAfterMs: 1000 })
  })

  it('forgets a key that is reset, blocks included', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    await limiter.check('key', { cost: 10 })
    await limiter.block('key', '2h')
    await clock.advance(5)
    expect(await limiter.reset('key')).toBe(true)
    expect(await limiter.check('key')).toMatchObject({ allowed: true, remaining: 9 })
  })

  it('counts in stats what was checked, and owes nothing after a flush', async () => {
    const { limiter } = setUp(mode, { limit })
    await limiter.check('key', { cost: 8 })
    await limiter.check('key', { cost: 8 })
    await limiter.peek('key')
    await limiter.check('other')
    await limiter.flush()
    expect(limiter.stats()).toMatchObject({
      ...{ checks: 3, admitted: 2, denied: 1, pending: 0, degraded: false, expired: 0, uncertain: 0 },
      ...{ evictedInWindow: 0, estimatedOvershoot: 0, syncLagMs: 0, keys: mode === 'hard' ? 0 : 2 },
    })
    expect(limiter.stats().storeCalls).toBeGreaterThanOrEqual(2)
    expect(limiter.stats().storeEntries).toBeGreaterThanOrEqual(2)
  })

  it('acquires at once what is free, and otherwise waits for it', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    await limiter.acquire('key', { cost: 10 })
    const { retryAfterMs } = await limiter.peek('key')
    const waiting = limiter.acquire('key')
    const state = watch(waiting)
    await clock.advance(retryAfterMs - 1)
    expect(state.done).toBe(false)
    await clock.advance(1 + (limit.algorithm === 'leaky-bucket' ? HOUR : 0))
    expect(state.done).toBe(true)
    expect(await waiting).toMatchObject({ allowed: true })
  })

  it('rejects what it can never acquire, and what would take longer than maxWait', async () => {
    const { limiter } = setUp(mode, { limit })
    const never = { name: 'AcquireError', code: 'ERR_NEVER' }
    await expect(limiter.acquire('key', { cost: 11 })).rejects.toMatchObject(never)
    await expect(limiter.acquire('key', { cost: 11, maxWait: 5 })).rejects.toMatchObject(never)
    await limiter.check('key', { cost: 10 })
    const late = { name: 'AcquireError', code: 'ERR_MAX_WAIT' }
    await expect(limiter.acquire('key', { maxWait: 1 })).rejects.toMatchObject(late)
    await limiter.refund('key', 10)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 9 })
  })

  it('refuses options that there are none of', async () => {
    const { limiter } = setUp(mode, { limit })
    const typo = { costs: 5 } as object
    const unknown = { code: 'ERR_OPTION', message: expect.stringContaining('"costs"') }
    for (const call of ['check', 'peek', 'acquire'] as const)
      await expect(limiter[call]('key', typo)).rejects.toMatchObject(unknown)
    for (const call of ['reserve', 'refund', 'penalty'] as const)
      await expect(limiter[call]('key', 1, typo)).rejects.toMatchObject(unknown)
    if ('checkSync' in limiter)
      expect(() => (limiter as LimiterOf<'soft'>).checkSync('key', typo)).toThrow('"costs"')
    expect(await limiter.peek('key')).toMatchObject({ remaining: 9 })
  })

  it('stops waiting when the signal says so', async () => {
    const { clock, limiter } = setUp(mode, { limit })
    const reason = new Error('enough')
    await expect(limiter.acquire('key', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    for (const signal of [{}, null, new AbortController()] as unknown as AbortSignal[])
      await expect(limiter.acquire('key', { signal })).rejects.toMatchObject({ code: 'ERR_OPTION' })
    expect(await limiter.peek('key')).toMatchObject({ remaining: 9 })
    await limiter.check('key', { cost: 10 })
    const controller = new AbortController()
    const waiting = expect(limiter.acquire('key', { signal: controller.signal })).rejects.toBe(reason)
    await clock.advance(1)
    controller.abort(reason)
    await waiting
    await limiter.refund('key', 10)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 9 })
  })

  it('shares the counts of one name, each limiter by its own limit', async () => {
    const { store, clock, limiter } = setUp(mode, { limit })
    const larger = {
      'fixed-window': fixedWindow({ limit: 20, window: '1h' }),
      'sliding-window': slidingWindow({ limit: 20, window: '1h' }),
      'sliding-log': slidingLog({ limit: 20, window: '1h' }),
      'token-bucket': tokenBucket({ capacity: 20, refill: 20, per: '1h' }),
      'leaky-bucket': leakyBucket({ capacity: 20, leak: 20, per: '1h' }),
    }[limit.algorithm]
    const other = createLimiter({ name: 'api', limit: larger, mode, store, clock })
    await limiter.check('key', { cost: 10 })
    await limiter.flush()
    expect(await limiter.check('key')).toMatchObject({ allowed: false, limit: 10 })
    expect(await other.check('key')).toMatchObject({ allowed: true, limit: 20, remaining: 9 })
    await other.flush()
  })
})

describe.each(modes)('%s', (mode) => {
  it('paces what is acquired from a leaky bucket', async () => {
    const limit = leakyBucket({ capacity: 10, leak: 1, per: '1s' })
    const { clock, limiter } = setUp(mode, { limit })
    const start = clock.monotonic()
    const times: number[] = []
    const all = Array.from({ length: 5 }, async () => {
      const { delayMs } = await limiter.acquire('key')
      times.push(clock.monotonic() - start)
      return delayMs
    })
    await clock.advance(10_000)
    expect(await Promise.all(all)).toEqual([0, 1000, 2000, 3000, 4000])
    expect(times).toEqual([0, 1000, 2000, 3000, 4000])
  })

  it('gives back what it took when a paced wait is aborted, or would pass maxWait', async () => {
    const limit = leakyBucket({ capacity: 10, leak: 1, per: '1h' })
    const { clock, limiter } = setUp(mode, { limit })
    await limiter.acquire('key')
    const late = { name: 'AcquireError', code: 'ERR_MAX_WAIT' }
    await expect(limiter.acquire('key', { cost: 4, maxWait: '1m' })).rejects.toMatchObject(late)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 8 })
    const controller = new AbortController()
    const waiting = limiter.acquire('key', { cost: 4, signal: controller.signal })
    const rejected = expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await clock.advance(10)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 4 })
    controller.abort()
    await rejected
    expect(await limiter.peek('key')).toMatchObject({ remaining: 8 })
  })

  it('gives back what it took when it is aborted after the limiter was closed', async () => {
    const limit = leakyBucket({ capacity: 10, leak: 1, per: '1h' })
    const { clock, options, limiter } = setUp(mode, { limit })
    await limiter.acquire('key')
    const controller = new AbortController()
    const waiting = limiter.acquire('key', { cost: 4, signal: controller.signal })
    const rejected = expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await clock.advance(10)
    await limiter.close()
    controller.abort()
    await rejected
    expect(await createLimiter(options).peek('key')).toMatchObject({ remaining: 8 })
  })

  it('refuses everything once closed, by rejecting', async () => {
    const { limiter } = setUp(mode)
    await limiter.check('key')
    await limiter.close()
    await limiter.close()
    await limiter[Symbol.asyncDispose]()
    const acts = [
      () => limiter.check('key'),
      () => limiter.peek('key'),
      () => limiter.acquire('key'),
      () => limiter.refund('key'),
      () => limiter.block('key', '1s'),
      () => limiter.reset('key'),
      () => limiter.flush(),
    ]
    for (const act of acts)
      await expect(act()).rejects.toMatchObject({ name: 'ConfigError', code: 'ERR_CLOSED' })
    expect(limiter.stats()).toMatchObject({ checks: 1, admitted: 1, pending: 0 })
  })

  it('settles what is pending when it is closed or disposed of', async () => {
    const { clock, options, limiter } = setUp(mode)
    for (let turn = 0; turn < 4; turn++) await limiter.check('key')
    await limiter.close()
    const second = createLimiter(options)
    expect(await second.check('key')).toMatchObject({ remaining: 5 })
    await second.check('key')
    await second[Symbol.asyncDispose]()
    expect(await createLimiter(options).peek('key')).toMatchObject({ remaining: 3 })
    await clock.advance(60_000)
  })

  it('refuses a name that is in use with another algorithm or window', () => {
    const { options } = setUp(mode)
    for (const limit of [slidingLog({ limit: 10, window: '1h' }), fixedWindow({ limit: 10, window: '2h' })]) {
      expect(() => createLimiter({ ...options, limit })).toThrow(ConfigError)
    }
    createLimiter({ ...options, limit: slidingLog({ limit: 10, window: '1h' }), name: 'another' })
  })

  it('keeps apart keys that look alike, and names', async () => {
    const { options, limiter } = setUp(mode)
    const keys = [
      'a',
      'a ',
      '{a}',
      'a\0',
      'a\n',
      '\uD800',
      '\uD801',
      '\uFFFD',
      '\uFFFFd800',
      '__proto__',
      'api:a',
    ]
    for (const key of keys) expect(await limiter.check(key, { cost: 3 })).toMatchObject({ remaining: 7 })
    for (const key of keys) expect(await limiter.check(key)).toMatchObject({ remaining: 6 })
    expect(await createLimiter({ ...options, name: 'api2' }).check('a')).toMatchObject({ remaining: 9 })
  })
})

it('answers checkSync in soft mode from RAM, at once', async () => {
  const { clock, limiter } = setUp('soft')
  const { storeCalls } = limiter.stats()
  expect(limiter.checkSync('key', { cost: 4 })).toMatchObject({
    allowed: true,
    remaining: 6,
    source: 'local',
  })
  expect(limiter.checkSync('key', { cost: 7 })).toMatchObject({
    allowed: false,
    remaining: 6,
    reason: 'limit',
  })
  expect(limiter.checkSync('key')).toMatchObject({ allowed: true, remaining: 5 })
  expect(limiter.stats()).toMatchObject({ checks: 3, admitted: 2, denied: 1, storeCalls })
  await clock.advance(2000)
  expect(limiter.stats().pending).toBe(0)
  await limiter.close()
  expect(() => limiter.checkSync('key')).toThrow(ConfigError)
})

it('has checkSync in soft mode only', () => {
  const hard = setUp('hard').limiter
  // @ts-expect-error: a hard limiter always has to ask the store
  expect(hard.checkSync).toBeUndefined()
  const byDefault = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: 1000 }) })
  // @ts-expect-error: hard is the default
  expect(byDefault.checkSync).toBeUndefined()
  expect(setUp('soft').limiter.checkSync).toBeTypeOf('function')
})

it('takes its own memory store where none is given', async () => {
  const clock = new ManualClock(1000 * HOUR)
  const limit = fixedWindow({ limit: 1, window: '1h' })
  const one = createLimiter({ name: 'api', limit, clock })
  const two = createLimiter({ name: 'api', limit, clock })
  expect(await one.check('key')).toMatchObject({ allowed: true })
  expect(await two.check('key')).toMatchObject({ allowed: true })
  expect(await one.check('key')).toMatchObject({ allowed: false })
})
