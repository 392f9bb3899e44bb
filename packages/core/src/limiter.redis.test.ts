import { Redis } from 'ioredis'
import { afterAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  leakyBucket,
  type Store,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from './index.ts'
import type { LimiterOptions, Mode } from './options.ts'
import { redisStore } from './redis.ts'

const HOUR = 3_600_000
const stores: Store[] = []
let names = 0

afterAll(async () => {
  for (const store of stores) await store.close()
})

/** A node of its own, by a store time that the test sets. */
function node<M extends Mode>(mode: M, limit: LimiterOptions['limit'], name: string, time: { now: number }) {
  const store = redisStore(inject('redisUrl'), { prefix: 'limiter-test', now: () => time.now })
  stores.push(store)
  const sync = mode === 'hard' ? undefined : { interval: '1h' }
  return createLimiter({ name, limit, mode, store, timeout: '30s', sync })
}

const limits = [
  fixedWindow({ limit: 10, window: '1h' }),
  slidingWindow({ limit: 10, window: '1h' }),
  slidingLog({ limit: 10, window: '1h' }),
  tokenBucket({ capacity: 10, refill: 10, per: '1h' }),
  leakyBucket({ capacity: 10, leak: 10, per: '1h' }),
]
const modes = ['hard', 'soft'] as const
const cases = modes.flatMap((mode) => limits.map((limit) => ({ mode, limit, algorithm: limit.algorithm })))

// An eighth of these windows, at which such limiters settle, is no whole number of milliseconds.
const uneven = [fixedWindow({ limit: 10, window: 1500 }), tokenBucket({ capacity: 20, refill: 3, per: '1s' })]
const booking = uneven.flatMap((limit) => [
  { mode: 'leased' as const, sync: undefined, limit, algorithm: limit.algorithm },
  { mode: 'soft' as const, sync: { maxOvershoot: 0.1 }, limit, algorithm: limit.algorithm },
])

it.each(booking)(
  'books in $mode mode where $algorithm ends at no even time',
  async ({ mode, sync, limit }) => {
    const store = redisStore(inject('redisUrl'), { prefix: 'limiter-test' })
    stores.push(store)
    const limiter = createLimiter({ name: `uneven-${names++}`, limit, mode, sync, store, timeout: '30s' })
    expect(await limiter.check('key')).toMatchObject({ allowed: true, source: 'local' })
    await limiter.close()
  },
)

describe.each(cases)('$mode $algorithm on Redis', ({ mode, limit }) => {
  const source = mode === 'hard' ? 'store' : 'local'

  function setUp() {
    const name = `test-${names++}`
    const time = { now: 1000 * HOUR }
    return { name, time, limiter: node(mode, limit, name, time) }
  }

  it('checks, peeks, refunds, blocks and resets', async () => {
    const { time, limiter } = setUp()
    expect(await limiter.check('key', { cost: 4 })).toMatchObject({ allowed: true, remaining: 6, source })
    expect(await limiter.check('key', { cost: 7 })).toMatchObject({ allowed: false, reason: 'limit', source })
    const tooMuch = { allowed: false, reason: 'cost', retryAfterMs: Infinity, remaining: 6 }
    expect(await limiter.check('key', { cost: 11 })).toMatchObject(tooMuch)
    const peeked = await limiter.peek('key')
    expect(await limiter.check('key')).toEqual(peeked)
    expect(peeked).toMatchObject({ allowed: true, remaining: 5 })
    expect(await limiter.refund('key', 2)).toBe(true)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 6 })
    expect(await limiter.block('key', '2h')).toBe(true)
    const blocked = { allowed: false, reason: 'blocked', retryAfterMs: 2 * HOUR }
    expect(await limiter.check('key')).toMatchObject(blocked)
    time.now += 5
    expect(await limiter.reset('key')).toBe(true)
    expect(await limiter.check('key', { cost: 10 })).toMatchObject({ allowed: true, remaining: 0 })
    const { retryAfterMs } = await limiter.peek('key')
    time.now += retryAfterMs - 1
    expect(await limiter.check('key')).toMatchObject({ allowed: false, retryAfterMs: 1 })
    time.now += 1
    expect(await limiter.check('key')).toMatchObject({ allowed: true })
    await limiter.close()
  })

  it('settles on closing what another node then sees', async () => {
    const { name, time, limiter } = setUp()
    for (let turn = 0; turn < 5; turn++) await limiter.check('key')
    await limiter.flush()
    expect(limiter.stats()).toMatchObject({
      checks: 5,
      admitted: 5,
      pending: 0,
      uncertain: 0,
      degraded: false,
    })
    await limiter.check('key', { cost: 2 })
    await limiter.close()
    await expect(limiter.check('key')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    const other = node(mode, limit, name, time)
    expect(await other.check('key')).toMatchObject({ allowed: true, remaining: 2 })
    await other[Symbol.asyncDispose]()
  })

  it('gives back what a reservation did not need, whatever was in use beside it', async () => {
    const { time, limiter } = setUp()
    // A node's own clock goes on meanwhile: not at the beginning of a window.
    time.now += HOUR / 2
    await limiter.check('key', { cost: 4 })
    const call = await limiter.reserve('key', 4)
    expect(await call.settle(1)).toBe(true)
    expect(await limiter.peek('key')).toMatchObject({ remaining: 4 })
    await limiter.close()
  })

  it('gives back what a given-up acquire took, and takes nothing of what can not be', async () => {
    const { limiter } = setUp()
    await limiter.acquire('key')
    await limiter.acquire('other', { cost: 10 })
    await expect(limiter.acquire('other', { maxWait: 1 })).rejects.toMatchObject({ code: 'ERR_MAX_WAIT' })
    await expect(limiter.acquire('key', { cost: 11 })).rejects.toMatchObject({ code: 'ERR_NEVER' })
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    await expect(limiter.acquire('key', { signal })).rejects.toBe(reason)
    if (limit.algorithm === 'leaky-bucket') {
      await expect(limiter.acquire('key', { maxWait: 1 })).rejects.toMatchObject({ code: 'ERR_MAX_WAIT' })
    }
    expect(await limiter.peek('key')).toMatchObject({ remaining: 8 })
    await limiter.close()
  })
})

it.each(modes)('%s: a name in use with another window is a ConfigError, and counts nothing', async (mode) => {
  const time = { now: 1000 * HOUR }
  const name = `test-${names++}`
  const first = node('hard', fixedWindow({ limit: 10, window: '1h' }), name, time)
  await first.check('key')
  const other = node(mode, fixedWindow({ limit: 10, window: '2h' }), name, time)
  const mismatch = { name: 'ConfigError', code: 'ERR_MISMATCH' }
  await expect(other.check('key')).rejects.toMatchObject(mismatch)
  await expect(other.block('key', '1m')).rejects.toMatchObject(mismatch)
  await expect(other.reset('key')).rejects.toMatchObject(mismatch)
  await expect(other.refund('key')).rejects.toMatchObject(mismatch)
  expect(await first.check('key')).toMatchObject({ remaining: 8 })
})

it.each(['soft', 'leased'] as const)(
  '%s: who asks without waiting is told too that the name is in use with another window',
  async (mode) => {
    const time = { now: 1000 * HOUR }
    const name = `test-${names++}`
    const other = node('hard', fixedWindow({ limit: 10, window: '1h' }), name, time)
    await other.check('key')
    const limiter = node(mode, fixedWindow({ limit: 10, window: '2h' }), name, time)
    // Nothing is known yet of what the store has to say.
    expect(limiter.checkSync('key')).toMatchObject(mode === 'soft' ? { allowed: true } : { reason: 'sync' })
    const mismatch = { name: 'ConfigError', code: 'ERR_MISMATCH' }
    await expect(limiter.check('key')).rejects.toMatchObject(mismatch)
    expect(() => limiter.checkSync('key')).toThrow(expect.objectContaining(mismatch))
    expect(() => limiter.checkSync('another')).toThrow(expect.objectContaining(mismatch))
    await limiter.close()
  },
)

it.each(modes)('%s: two limiters of one name each use their own limit', async (mode) => {
  const time = { now: 1000 * HOUR }
  const name = `test-${names++}`
  const small = node(mode, fixedWindow({ limit: 10, window: '1h' }), name, time)
  const large = node(mode, fixedWindow({ limit: 20, window: '1h' }), name, time)
  await small.check('key', { cost: 10 })
  await small.flush()
  expect(await small.check('key')).toMatchObject({ allowed: false, limit: 10 })
  expect(await large.check('key')).toMatchObject({ allowed: true, limit: 20, remaining: 9 })
  await small.close()
  await large.close()
})

it('a check whose script failed after it had counted is uncertain', async () => {
  const name = `test-${names++}`
  const admin = new Redis(inject('redisUrl'))
  // It may do all but what comes last where a file is new.
  await admin.call('ACL', 'SETUSER', 'no-expiry', 'on', '>secret', '~*', '+@all', '-pexpire', '-pexpireat')
  onTestFinished(async () => {
    await admin.call('ACL', 'DELUSER', 'no-expiry')
    const left = await admin.keys(`limiter-test:*{${name}}*`)
    if (left.length > 0) await admin.unlink(left)
    admin.disconnect()
  })
  const { host } = new URL(inject('redisUrl'))
  const store = redisStore(`redis://no-expiry:secret@${host}`, { prefix: 'limiter-test' })
  stores.push(store)
  const limiter = createLimiter({
    ...{ name, limit: fixedWindow({ limit: 10, window: '24h' }), store },
    ...{ onOutage: 'throw', timeout: '30s' },
  })
  await expect(limiter.check('key')).rejects.toMatchObject({ code: 'ERR_STORE_REPLY', uncertain: true })
  expect(limiter.stats().uncertain).toBe(1)
  await limiter.close()
})

it('keeps no more of a key whose first checks waited than of one whose checks never do', async () => {
  const redis = new Redis(inject('redisUrl'))
  const limit = fixedWindow({ limit: 1_000_000, window: '1h' })
  const time = { now: 1_800_000_000_000 }
  const kept = await Promise.all(
    (['check', 'checkSync'] as const).map(async (ask) => {
      const name = `rows-by-${ask}-only`
      const nodes = Array.from({ length: 4 }, () => node('soft', limit, name, time))
      for (let pass = 0; pass < 3; pass++)
        for (const each of nodes) {
          for (let key = 0; key < 100; key++)
            expect(await each[ask](`user:${key}`)).toMatchObject({ allowed: true })
          await each.flush()
        }
      let bytes = 0
      for (const key of await redis.keys(`limiter-test*${name}*`))
        bytes += (await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0
      await Promise.all(nodes.map((each) => each.close()))
      return bytes / 100
    }),
  )
  redis.disconnect()
  expect(kept[0]).toBeGreaterThan(100)
  expect(Math.abs((kept[0] as number) - (kept[1] as number))).toBeLessThan(5)
})
