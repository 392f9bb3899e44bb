import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, type Store, StoreError, slidingLog } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

test('a key over its limit and a blocked one are forgotten last: other keys in plenty do not free them', async () => {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  const limit = fixedWindow({ limit: 2, window: '1h' })
  const limiter = createLimiter({
    name: 'api',
    limit,
    mode: 'soft',
    store,
    clock,
    random: () => 0.5,
    maxKeys: 64,
  })
  for (let check = 0; check < 3; check++) limiter.checkSync('over')
  await clock.advance(10)
  await limiter.check('blocked')
  await limiter.block('blocked', '1h')
  for (let key = 0; key < 1000; key++) {
    limiter.checkSync(`other-${key}`)
    await clock.advance(2)
  }
  await clock.advance(2000)
  expect(limiter.stats().keys).toBeLessThanOrEqual(64)
  expect(limiter.checkSync('over')).toMatchObject({ allowed: false, reason: 'limit' })
  expect(limiter.checkSync('blocked')).toMatchObject({ allowed: false, reason: 'blocked' })
  await limiter.close()
})

test('soft: a key that was pushed out begins anew for checkSync, which does not wait; check hears of it first', async () => {
  const clock = new ManualClock(1_000_000)
  const limit = fixedWindow({ limit: 2, window: '1h' })
  const store = memoryStore({ clock })
  // A second node, so that what is pending is settled.
  const made = { name: 'api', limit, mode: 'soft', store, clock, random: () => 0.5 } as const
  const [limiter, other] = [createLimiter({ ...made, maxKeys: 1 }), createLimiter(made)]
  const pushOut = async () => {
    await clock.advance(3000)
    limiter.checkSync('another')
    await clock.advance(3000)
  }
  for (const allowed of [true, true, false]) expect(limiter.checkSync('key').allowed).toBe(allowed)
  await pushOut()
  expect(await limiter.check('key')).toMatchObject({ allowed: false, reason: 'limit' })
  await pushOut()
  expect(limiter.checkSync('key').allowed).toBe(true)
  expect(limiter.stats().evictedInWindow).toBeGreaterThan(1)
  await Promise.all([limiter.close(), other.close(), clock.advance(1000)])
})

test('leased: a key that was pushed out while its question was still to be sent has one ledger: nothing is booked twice', async () => {
  const clock = new ManualClock(1_000_000)
  const store = faultyStore(memoryStore({ clock }), { clock, latency: 1 })
  const limit = fixedWindow({ limit: 20, window: '1h' })
  const made = { name: 'api', limit, mode: 'leased', store, clock, random: () => 0.5 } as const
  const [one, two] = [createLimiter({ ...made, maxKeys: 1 }), createLimiter(made)]
  void two.check('another')
  await clock.advance(10)
  let admitted = 0
  const ask = async (node: typeof one) => {
    const check = node.check('key')
    await clock.advance(5)
    if ((await check).allowed) admitted++
  }
  for (const key of ['key', 'another']) one.checkSync(key)
  await clock.advance(10)
  await ask(one)
  for (let check = 0; check < 20; check++) {
    await clock.advance(100)
    if (check % 4 === 0 && one.checkSync('key').allowed) admitted++
  }
  for (let check = 0; check < 40; check++) await ask(two)
  for (let check = 0; check < 40; check++) if (one.checkSync('key').allowed) admitted++
  expect(admitted).toBeLessThanOrEqual(20)
  await Promise.all([one.close(), two.close(), clock.advance(1000)])
})

test.each([
  ['soft', 'of several limits', 'api'],
  ['leased', 'of several limits', 'api'],
  ['soft', 'with a reserve', 'api~spike'],
  ['leased', 'with a reserve', 'api~spike'],
] as const)(
  '%s: a check %s is not refused where its key was pushed out while another limit was asked',
  async (mode, _, quick) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    // One limit has answered for all keys long before the other one.
    const open: Store['open'] = (name, ...more) =>
      faultyStore(memory, { clock, latency: name === quick ? 1 : 20 }).open(name, ...more)
    const store: Store = { open, close: () => memory.close() }
    const window = fixedWindow({ limit: 2, window: '1h' })
    const its =
      quick === 'api'
        ? { limit: [window, slidingLog({ limit: 5, window: '1h' })] }
        : { limit: window, spike: { extra: 5, per: '1h' } }
    const limiter = createLimiter({ name: 'api', mode, ...its, store, clock, random: () => 0.5, maxKeys: 4 })
    const checks = Array.from({ length: 20 }, (_, key) => limiter.check(`key-${key}`))
    await clock.advance(100)
    expect((await Promise.all(checks)).map(({ reason }) => reason)).toEqual(checks.map(() => undefined))
    // They are forgotten in the end.
    await clock.advance(3000)
    expect(limiter.stats().keys).toBeLessThanOrEqual(2 * 4)
    await Promise.all([limiter.close(), clock.advance(1000)])
  },
)

/** Keys that may be held beside `maxKeys` and as many again, until the store has heard of them. */
const IN_A_HURRY = 1000

test.each(['too slow', 'away'])(
  'a flood of keys is held within the bound with a store that is %s, and what is admitted of it is settled',
  async (how) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const store = faultyStore(memory, { clock, latency: 5000 })
    const made = { name: 'api', limit: fixedWindow({ limit: 2, window: '1h' }), clock } as const
    const limiter = createLimiter({ ...made, mode: 'soft', store, timeout: '1m', maxKeys: 100 })
    if (how === 'away') store.goAway(3000)
    limiter.checkSync('first')
    await clock.advance(100)
    const admitted: string[] = []
    for (let key = 0; key < 10_000; key++) {
      const { allowed, reason } = limiter.checkSync(`key-${key}`)
      if (allowed) admitted.push(`key-${key}`)
      else expect(reason).toBe('outage')
    }
    expect(limiter.stats().degraded).toBe(how === 'away')
    expect(admitted.length).toBeGreaterThan(90)
    expect(limiter.stats().keys).toBeLessThanOrEqual(how === 'away' ? 101 : 200 + IN_A_HURRY)
    expect(limiter.stats().pending).toBe(admitted.length + 1)
    await clock.advance(60_000)
    expect(limiter.stats()).toMatchObject({ pending: 0, expired: 0, degraded: false })
    expect(limiter.stats().keys).toBeLessThanOrEqual(100)
    const auditor = createLimiter({ ...made, store: memory })
    for (const key of admitted) expect(await auditor.peek(key)).toMatchObject({ allowed: true, remaining: 0 })
    await Promise.all([limiter.close(), auditor.close(), clock.advance(60_000)])
  },
)

test.each(['soft', 'leased'] as const)(
  '%s: a refund of a key that is pushed out while the store is asked about it is carried out',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const store = faultyStore(memory, { clock, latency: 5 })
    const limit = fixedWindow({ limit: 5, window: '1h' })
    const made = { name: 'api', limit, clock, random: () => 0.5 } as const
    const limiter = createLimiter({ ...made, mode, store, maxKeys: 1 })
    const hard = createLimiter({ ...made, store: memory })
    const check = limiter.check('key', { cost: 5 })
    await clock.advance(100)
    expect((await check).allowed).toBe(true)
    await Promise.all([limiter.flush(), clock.advance(3000)])
    limiter.checkSync('another')
    await clock.advance(3000)
    const refund = limiter.refund('key', 2)
    await clock.advance(2)
    limiter.checkSync('another')
    await clock.advance(3000)
    expect(await refund).toBe(true)
    expect((await hard.peek('key')).remaining).toBe(1)
    await Promise.all([limiter.close(), hard.close(), clock.advance(1000)])
  },
)

test('a peek takes nothing while the store is away, and no outage rule admits a cost above the limit', async () => {
  const clock = new ManualClock(1_000_000)
  const inner = memoryStore({ clock })
  const store = { ...inner, close: () => inner.close(), open: away }
  const limit = fixedWindow({ limit: 2, window: '1h' })
  for (const onOutage of ['local', 'allow', 'deny'] as const) {
    const limiter = createLimiter({ name: 'api', limit, store, clock, onOutage })
    for (let peek = 0; peek < 5; peek++)
      expect((await limiter.peek('key')).remaining).toBe({ local: 1, allow: 2, deny: 0 }[onOutage])
    expect(await limiter.check('key', { cost: 3 })).toMatchObject({
      allowed: false,
      reason: 'cost',
      retryAfterMs: Infinity,
    })
  }
})

function away() {
  const exchange = () => Promise.reject(new StoreError('ERR_STORE_AWAY', 'away'))
  return { known: true, now: () => 1_000_000, latest: () => 1_000_000, exchange }
}

test('alone on its store, a flood of new keys within an interval is settled as it comes, and not taken for an outage', async () => {
  const clock = new ManualClock(1_000_000)
  const limit = fixedWindow({ limit: 10, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, mode: 'soft', clock, random: () => 0.5, maxKeys: 100 })
  for (let key = 0; key < 5000; key++) {
    if (key % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(await limiter.check(`key-${key}`), `key ${key}`).toMatchObject({ allowed: true, remaining: 9 })
  }
  expect(limiter.stats().keys).toBeLessThan(1500)
  await limiter.flush()
  for (let key = 0; key < 5000; key++)
    expect((await limiter.peek(`key-${key}`)).remaining, `key ${key}`).toBe(8)
  await limiter.close()
})
