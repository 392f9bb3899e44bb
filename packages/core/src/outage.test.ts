import { describe, expect, it, vi } from 'vitest'
import type { Algorithm } from './algorithms/algorithm.ts'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { StoreError } from './errors.ts'
import { createLimiter } from './limiter.ts'
import type { Mode, OnOutage } from './options.ts'
import { memoryStore } from './store/memory.ts'
import type { Reply, Request, Store, Table } from './store/store.ts'
import { ManualClock } from './testing.ts'

/** A memory store that can stop answering, or refuse. */
class FaultyStore implements Store {
  state: 'alive' | 'silent' | 'refusing' = 'alive'
  calls = 0
  private readonly inner: Store

  constructor(clock: ManualClock) {
    this.inner = memoryStore({ clock })
  }

  open(name: string, limit: Algorithm): Table {
    const table = this.inner.open(name, limit)
    return {
      known: true,
      now: () => table.now(),
      latest: () => table.latest(),
      exchange: (request: Request): Promise<Reply> => {
        this.calls++
        if (this.state === 'silent') return new Promise(() => {})
        if (this.state === 'alive') return table.exchange(request)
        return Promise.reject(new StoreError('ERR_STORE_AWAY', 'connection refused'))
      },
    }
  }

  async close(): Promise<void> {}
}

function setUp<M extends Mode>(mode: M, onOutage?: OnOutage) {
  const clock = new ManualClock(1_000_000)
  const store = new FaultyStore(clock)
  const limit = fixedWindow({ limit: 2, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, mode, store, onOutage, clock, random: () => 0.5 })
  const events: string[] = []
  limiter.on('degraded', () => events.push('degraded'))
  limiter.on('recovered', () => events.push('recovered'))
  return { clock, store, limiter, events }
}

/** What a promise came to after `ms`, without waiting for it any longer. */
async function within<T>(
  clock: ManualClock,
  ms: number,
  promise: Promise<T>,
): Promise<T | Error | 'pending'> {
  let outcome: T | Error | 'pending' = 'pending'
  promise.then(
    (value) => {
      outcome = value
    },
    (error: Error) => {
      outcome = error
    },
  )
  await clock.advance(ms)
  return outcome
}

const expected = {
  deny: { allowed: false, source: 'outage', reason: 'outage', remaining: 0, limit: 2 },
  allow: { allowed: true, source: 'outage', limit: 2, retryAfterMs: 0, delayMs: 0 },
  throw: { name: 'StoreError' },
}
const rules: OnOutage[] = ['local', 'allow', 'deny', 'throw']

describe.each(['silent', 'refusing'] as const)('with a store that is %s', (state) => {
  it.each(rules.flatMap((rule) => [['hard', rule] as const, ['leased', rule] as const]))(
    'a %s limiter answers by onOutage %s within the timeout',
    async (mode, onOutage) => {
      const { clock, store, limiter } = setUp(mode, onOutage)
      store.state = state
      for (let turn = 1; turn <= 5; turn++) {
        const answer = await within(clock, 100, limiter.check('key'))
        if (onOutage !== 'local') expect(answer).toMatchObject(expected[onOutage])
        else if (turn <= 2)
          expect(answer).toMatchObject({ allowed: true, source: 'outage', remaining: 2 - turn })
        else expect(answer).toMatchObject({ allowed: false, source: 'outage', reason: 'limit', remaining: 0 })
        if (onOutage === 'deny')
          expect(answer).toMatchObject({ retryAfterMs: expect.toSatisfy((ms: number) => ms >= 1) })
      }
      const peeked = await within(clock, 100, limiter.peek('another'))
      if (onOutage === 'local')
        expect(peeked).toMatchObject({ allowed: true, source: 'outage', remaining: 1 })
      else expect(peeked).toMatchObject(expected[onOutage])
    },
  )

  it.each(rules)('a soft limiter answers by onOutage %s at once, once it knows', async (onOutage) => {
    const { clock, store, limiter } = setUp('soft', onOutage)
    store.state = state
    for (const cold of ['a', 'b', 'c']) {
      expect(
        await within(
          clock,
          100,
          limiter.check(cold).catch(() => undefined),
        ),
      ).not.toBe('pending')
    }
    await clock.advance(10_000)
    expect(limiter.stats().degraded).toBe(true)
    for (let turn = 1; turn <= 3; turn++) {
      const answer = await within(clock, 0, limiter.check('key'))
      if (onOutage !== 'local') expect(answer).toMatchObject(expected[onOutage])
      else if (turn <= 2)
        expect(answer).toMatchObject({ allowed: true, source: 'local', remaining: 2 - turn })
      else expect(answer).toMatchObject({ allowed: false, source: 'local', reason: 'limit' })
    }
    if (onOutage === 'throw') expect(() => limiter.checkSync('key')).toThrow(StoreError)
    else if (onOutage !== 'local') expect(limiter.checkSync('key')).toMatchObject(expected[onOutage])
    else expect(limiter.checkSync('sync')).toMatchObject({ allowed: true, source: 'local', remaining: 1 })
  })

  it.each(['hard', 'soft'] as const)('%s: verbs say false, or throw where that is the rule', async (mode) => {
    const { clock, store, limiter } = setUp(mode, 'deny')
    store.state = state
    expect(await within(clock, 300, limiter.block('key', '1m'))).toBe(false)
    expect(await within(clock, 300, limiter.reset('key'))).toBe(false)
    expect(await within(clock, 300, limiter.refund('key', 1))).toBe(false)
    const strict = setUp(mode, 'throw')
    strict.store.state = state
    expect(await within(strict.clock, 300, strict.limiter.block('key', '1m'))).toBeInstanceOf(StoreError)
    expect(await within(strict.clock, 300, strict.limiter.reset('key'))).toBeInstanceOf(StoreError)
    if (mode === 'soft') return
    expect(await within(strict.clock, 300, strict.limiter.refund('key', 1))).toBeInstanceOf(StoreError)
  })

  it.each(['hard', 'soft'] as const)('%s: degraded and recovered are told once each', async (mode) => {
    const { clock, store, limiter, events } = setUp(mode)
    await limiter.check('warm')
    expect(events).toEqual([])
    store.state = state
    for (let turn = 0; turn < 10; turn++) {
      await within(clock, 1000, limiter.check(`key${turn}`))
    }
    expect(events).toEqual(['degraded'])
    expect(limiter.stats().degraded).toBe(true)
    store.state = 'alive'
    await clock.advance(10_000)
    for (let turn = 0; turn < 3; turn++) await within(clock, 5000, limiter.check('after'))
    expect(events).toEqual(['degraded', 'recovered'])
    expect(limiter.stats()).toMatchObject({ degraded: false })
  })

  it('stops calling, and probes with one command at a time, ever more rarely', async () => {
    const { clock, store, limiter } = setUp('hard')
    store.state = state
    for (let turn = 0; turn < 3; turn++) await within(clock, 100, limiter.check('key'))
    await clock.advance(5000)
    await within(clock, 100, limiter.check('key'))
    const before = store.calls
    expect(await within(clock, 0, limiter.check('key'))).toMatchObject({ reason: 'outage' })
    expect(store.calls).toBe(before)
    await clock.advance(5000)
    const many = Array.from({ length: 50 }, (_, n) => limiter.check(`key${n}`))
    for (const n of [0, 1]) void limiter.check(`late${n}`)
    expect(await within(clock, 100, Promise.all(many))).toHaveLength(50)
    expect(store.calls).toBe(before + 1)
    for (let second = 0; second < 300; second++) await within(clock, 1000, limiter.check('key'))
    const probes = store.calls - before
    expect(probes).toBeGreaterThan(50)
    expect(probes).toBeLessThan(110)
  })
})

it.each(['hard', 'leased'] as const)('%s: acquire asks on through an outage, until maxWait', async (mode) => {
  const { clock, store, limiter } = setUp(mode)
  store.state = 'refusing'
  const patient = limiter.acquire('key', { maxWait: '30s' })
  expect(await within(clock, 10_000, patient)).toBe('pending')
  expect(await within(clock, 1000, limiter.acquire('other', { maxWait: '1s' }))).toMatchObject({
    name: 'AcquireError',
    code: 'ERR_MAX_WAIT',
  })
  store.state = 'alive'
  expect(await within(clock, 6000, patient)).toMatchObject({ allowed: true })
  await limiter.close()
})

it.each(['hard', 'leased'] as const)('%s: onOutage allow passes no cost above the limit', async (mode) => {
  const { store, limiter } = setUp(mode, 'allow')
  store.state = 'refusing'
  expect(await limiter.check('key', { cost: 2 })).toMatchObject({ allowed: true, source: 'outage' })
  const never = { allowed: false, source: 'outage', reason: 'cost', retryAfterMs: Infinity }
  expect(await limiter.check('key', { cost: 3 })).toMatchObject(never)
  await limiter.close()
})

it('denies by default in hard mode, and goes on locally in soft', async () => {
  const hard = setUp('hard')
  hard.store.state = 'refusing'
  expect(await hard.limiter.check('key')).toMatchObject({ allowed: false, reason: 'outage' })
  const soft = setUp('soft')
  soft.store.state = 'refusing'
  expect(await soft.limiter.check('key')).toMatchObject({ allowed: true, source: 'local' })
})

it('counts as uncertain what the store may have counted, and nothing else', async () => {
  const { clock, store, limiter } = setUp('hard')
  await limiter.check('key')
  expect(limiter.stats().uncertain).toBe(0)
  store.state = 'silent'
  await within(clock, 100, Promise.all([limiter.check('a'), limiter.check('b')]))
  expect(limiter.stats()).toMatchObject({ uncertain: 2, degraded: false })
  store.state = 'refusing'
  await limiter.check('a')
  await limiter.check('a')
  expect(limiter.stats()).toMatchObject({ uncertain: 2, degraded: true })
})

it('a lone timeout does not make the store count as away', async () => {
  const { clock, store, limiter, events } = setUp('hard')
  store.state = 'silent'
  await within(clock, 100, limiter.check('key'))
  store.state = 'alive'
  expect(await limiter.check('key')).toMatchObject({ allowed: true, source: 'store' })
  expect(events).toEqual([])
})

it('an answer does not come before the timeout of a silent store', async () => {
  const { clock, store, limiter } = setUp('hard')
  store.state = 'silent'
  const check = limiter.check('key')
  expect(await within(clock, 99, check)).toBe('pending')
  expect(await within(clock, 1, check)).toMatchObject({ reason: 'outage' })
})

it.each(['hard', 'leased'] as const)(
  '%s: a reservation that an outage let pass has nothing to give back',
  async (mode) => {
    const { clock, store, limiter } = setUp(mode, 'allow')
    store.state = 'refusing'
    const call = await limiter.reserve('key', 2)
    expect(call).toMatchObject({ allowed: true, source: 'outage' })
    store.state = 'alive'
    await clock.advance(10_000)
    expect(await limiter.check('key', { cost: 2 })).toMatchObject({ allowed: true, remaining: 0 })
    expect(await call.release()).toBe(false)
    expect((await limiter.check('key')).allowed).toBe(false)
  },
)

it('settles after the outage what a soft limiter admitted during it', async () => {
  const { clock, store, limiter } = setUp('soft')
  store.state = 'refusing'
  await limiter.check('key')
  await limiter.check('key')
  await expect(limiter.flush()).rejects.toThrow(StoreError)
  expect(limiter.stats().pending).toBe(2)
  store.state = 'alive'
  await clock.advance(10_000)
  expect(limiter.stats()).toMatchObject({ pending: 0, expired: 0, degraded: false })
  const limit = fixedWindow({ limit: 2, window: '1h' })
  const other = createLimiter({ name: 'api', limit, store, clock })
  expect(await other.check('key')).toMatchObject({ allowed: false, reason: 'limit', source: 'store' })
})

it('does not take the error of a listener for that of a check', async () => {
  const queued: (() => void)[] = []
  const spy = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((callback) => {
    queued.push(callback)
  })
  try {
    const { store, limiter } = setUp('hard')
    limiter.on('degraded', () => {
      throw new Error('a mistake in the listener')
    })
    store.state = 'refusing'
    expect(await limiter.check('key')).toMatchObject({ allowed: false, reason: 'outage' })
    expect(queued).toHaveLength(1)
    expect(queued[0]).toThrow('a mistake in the listener')
  } finally {
    spy.mockRestore()
  }
})

it('stops telling a listener that was taken off', async () => {
  const { store, limiter, events } = setUp('hard')
  const told: string[] = []
  const stop = limiter.on('degraded', () => told.push('degraded'))
  stop()
  store.state = 'refusing'
  await limiter.check('key')
  expect(events).toEqual(['degraded'])
  expect(told).toEqual([])
})
