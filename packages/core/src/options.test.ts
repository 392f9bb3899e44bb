import { describe, expect, it } from 'vitest'
import type { Algorithm } from './algorithms/algorithm.ts'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { systemClock } from './clock.ts'
import { ConfigError } from './errors.ts'
import { createLimiter } from './limiter.ts'
import { type LimiterOptions, settings } from './options.ts'
import { memoryStore } from './store/memory.ts'
import type { Store } from './store/store.ts'
import { ManualClock } from './testing.ts'

const limit = fixedWindow({ limit: 10, window: '1h' })
const valid = { name: 'api', limit }

/** A memory store that counts what is asked of it. */
class CountingStore implements Store {
  opened = 0
  calls = 0
  constructor(private readonly inner: Store) {}

  open(name: string, algorithm: Algorithm) {
    this.opened++
    const table = this.inner.open(name, algorithm)
    return {
      known: table.known,
      now: () => table.now(),
      latest: () => table.latest(),
      exchange: (request: Parameters<typeof table.exchange>[0]) => {
        this.calls++
        return table.exchange(request)
      },
    }
  }

  async close(): Promise<void> {}
}

function create(options: unknown): unknown {
  return createLimiter(options as LimiterOptions)
}

/** What is thrown, which must be a ConfigError of this code and say the mend. */
function expectConfigError(code: string, error: unknown): void {
  expect(error).toBeInstanceOf(ConfigError)
  expect(error).toMatchObject({ name: 'ConfigError', code })
  expect((error as Error).message.length).toBeGreaterThan(20)
}

function thrown(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}

const badOptions: [string, string, unknown][] = [
  ['no options', 'ERR_OPTION', undefined],
  ['null', 'ERR_OPTION', null],
  ['a string', 'ERR_OPTION', 'api'],
  ['no name', 'ERR_OPTION', { limit }],
  ...['', 'a b', 'a{b}', 'ä', 'a\n', 'a\0', 'x'.repeat(65), 7, null].map(
    (name): [string, string, unknown] => [`the name ${JSON.stringify(name)}`, 'ERR_OPTION', { limit, name }],
  ),
  ...[undefined, null, 10, {}, { limit: 10, window: 1000 }, fixedWindow].map(
    (bad): [string, string, unknown] => [
      `the limit ${String(bad)}`,
      'ERR_OPTION',
      { name: 'api', limit: bad },
    ],
  ),
  ...['Hard', 'strict', '', 1, true].map((mode): [string, string, unknown] => [
    `the mode ${JSON.stringify(mode)}`,
    'ERR_OPTION',
    { ...valid, mode },
  ]),
  ...['Local', 'fail', '', 0, false].map((onOutage): [string, string, unknown] => [
    `onOutage ${JSON.stringify(onOutage)}`,
    'ERR_OPTION',
    { ...valid, onOutage },
  ]),
  ...[0, -1, 1.5, Number.NaN, Infinity, 2 ** 24 + 1, '10', null].map((maxKeys): [string, string, unknown] => [
    `maxKeys ${maxKeys}`,
    'ERR_OPTION',
    { ...valid, maxKeys },
  ]),
  ...[0, -1, 0.5, Number.NaN, Infinity, '1', 'soon', '-1s', '0s', '9999d', '1e3s', {}].flatMap(
    (bad): [string, string, unknown][] => [
      [`the timeout ${String(bad)}`, 'ERR_DURATION', { ...valid, timeout: bad }],
      [`the interval ${String(bad)}`, 'ERR_DURATION', { ...valid, mode: 'soft', sync: { interval: bad } }],
    ],
  ),
  ['sync as a string', 'ERR_OPTION', { ...valid, sync: '1s' }],
  ['sync as null', 'ERR_OPTION', { ...valid, sync: null }],
  ['sync as a list', 'ERR_OPTION', { ...valid, mode: 'soft', sync: [] }],
  ['a promise of sync', 'ERR_OPTION', { ...valid, mode: 'soft', sync: Promise.resolve({}) }],
  ...['mode', 'store', 'onOutage', 'clock', 'random'].map((option): [string, string, unknown] => [
    `${option} of null`,
    'ERR_OPTION',
    { ...valid, [option]: null },
  ]),
  ['a timeout of null', 'ERR_DURATION', { ...valid, timeout: null }],
  ['an interval of null', 'ERR_DURATION', { ...valid, mode: 'soft', sync: { interval: null } }],
  ['a list of options', 'ERR_OPTION', [valid]],
  ['a promise of options', 'ERR_OPTION', Promise.resolve(valid)],
  ['an unknown option of sync', 'ERR_OPTION', { ...valid, mode: 'soft', sync: { every: '1s' } }],
  ['an unknown option', 'ERR_OPTION', { ...valid, limits: 7 }],
  ['a store that is a URL', 'ERR_OPTION', { ...valid, store: 'redis://127.0.0.1' }],
  ['a store that is an object', 'ERR_OPTION', { ...valid, store: {} }],
  ['a clock that is none', 'ERR_OPTION', { ...valid, clock: {} }],
  ['a clock that is Date', 'ERR_OPTION', { ...valid, clock: Date }],
  ['a random that is a number', 'ERR_OPTION', { ...valid, random: 0.5 }],
  ['maxOvershoot in hard mode', 'ERR_OPTION', { ...valid, sync: { maxOvershoot: 0.05 } }],
  ['maxOvershoot in leased mode', 'ERR_OPTION', { ...valid, mode: 'leased', sync: { maxOvershoot: 0.05 } }],
  ['a negative maxOvershoot', 'ERR_OPTION', { ...valid, mode: 'soft', sync: { maxOvershoot: -0.1 } }],
  ['a maxOvershoot of percents', 'ERR_OPTION', { ...valid, mode: 'soft', sync: { maxOvershoot: 5 } }],
  ['a maxOvershoot that is text', 'ERR_OPTION', { ...valid, mode: 'soft', sync: { maxOvershoot: '5%' } }],
  ['a maxOvershoot of NaN', 'ERR_OPTION', { ...valid, mode: 'soft', sync: { maxOvershoot: Number.NaN } }],
  ['an early that is a number', 'ERR_OPTION', { ...valid, mode: 'soft', sync: { early: 0 } }],
  ['leased without early syncs', 'ERR_OPTION', { ...valid, mode: 'leased', sync: { early: false } }],
  ['an empty list of limits', 'ERR_OPTION', { ...valid, limit: [] }],
  ['a list of what are none', 'ERR_OPTION', { ...valid, limit: [limit, 5] }],
  ['limit and scopes', 'ERR_OPTION', { ...valid, scopes: { user: limit } }],
  ['no scope', 'ERR_OPTION', { name: 'api', scopes: {} }],
  ['a bad scope', 'ERR_OPTION', { name: 'api', scopes: { 'a~b': limit } }],
  ['spike with scopes', 'ERR_OPTION', { name: 'api', scopes: { a: limit }, spike: { extra: 1, per: '1h' } }],
  ['a spike of 0', 'ERR_LIMIT', { ...valid, spike: { extra: 0, per: '1h' } }],
  ['an unknown option of spike', 'ERR_OPTION', { ...valid, spike: { extra: 1, per: '1h', refill: 1 } }],
  ['a spike that is a list', 'ERR_OPTION', { ...valid, spike: [] }],
  ['a list of keys that are none', 'ERR_OPTION', { ...valid, allow: ['user:1', 42] }],
  ['a set of keys that are none', 'ERR_OPTION', { ...valid, deny: new Set([42]) }],
  ['dryRun of 1', 'ERR_OPTION', { ...valid, dryRun: 1 }],
  ['a string of keys', 'ERR_OPTION', { ...valid, deny: 'user:42' }],
  ['maxWaiting of 0', 'ERR_OPTION', { ...valid, maxWaiting: 0 }],
]

describe('createLimiter', () => {
  it.each<[unknown, string]>([
    [undefined, 'createLimiter was given undefined: give an object such as { name, limit }'],
    [{ ...valid, limits: 7 }, 'the option is "limits": createLimiter has none of that name; there are name,'],
    [{ ...valid, timeout: 100n }, 'timeout is 100n: give whole milliseconds'],
    [{ ...valid, spike: { extra: 0, per: '1h' } }, 'spike.extra is 0: give an integer'],
    [{ ...valid, spike: { extra: 1, per: '1' } }, 'spike.per is "1": give whole milliseconds'],
    [{ ...valid, spike: { extra: 1, per: '1h', every: 1 } }, 'the option is "every": spike has none'],
    [{ ...valid, mode: 'soft', sync: { every: 1 } }, 'the option is "every": sync has none of that name'],
    [{ ...valid, allow: ['user:1', 42] }, 'a key of allow is 42: give strings'],
  ])('says of %o what is wrong', (options, message) => {
    expect(() => create(options)).toThrow(message)
  })

  it.each(badOptions)('refuses %s', (_, code, options) => {
    const store = new CountingStore(memoryStore({ clock: new ManualClock() }))
    const withStore =
      typeof options === 'object' && options !== null && !('store' in options)
        ? { ...options, store }
        : options
    expectConfigError(
      code,
      thrown(() => create(withStore)),
    )
    expect(store).toMatchObject({ opened: 0, calls: 0 })
  })

  it('accepts the extremes', () => {
    const clock = new ManualClock()
    const extremes = [
      { name: 'x'.repeat(64) },
      { name: 'a/b:c.d_e-F9' },
      { maxKeys: 1 },
      { timeout: 1 },
      { timeout: '730d' },
      { mode: 'soft', sync: { interval: 1 } },
      { sync: {} },
      { mode: undefined, store: undefined, onOutage: undefined, timeout: undefined, sync: undefined },
    ]
    for (const options of extremes) create({ ...valid, clock, ...options })
  })

  it('takes 16 limits, and names of scopes of 32 letters, but no more', () => {
    const limit = fixedWindow({ limit: 10, window: '1m' })
    const many = (length: number) => ({ name: 'api', limit: Array.from({ length }, () => limit) })
    const named = (length: number) => ({ name: 'api', scopes: { ['s'.repeat(length)]: limit } })
    expect(settings(many(16)).parts).toHaveLength(16)
    expect(() => settings(many(17))).toThrow('limit has 17 limits: a check decides on 16 at most')
    expect(settings(named(32)).parts).toHaveLength(1)
    expect(() => settings(named(33))).toThrow('name it by 1 to 32 letters, digits and _ - .')
  })

  it('has the defaults of the contract', () => {
    const common = {
      ...{ interval: 1000, timeout: 100, maxKeys: 100_000, maxWaiting: 1000, dryRun: false },
      ...{ early: true, clock: systemClock, random: Math.random },
    }
    expect(settings(valid)).toMatchObject({ ...common, mode: 'hard', onOutage: 'deny' })
    expect(settings({ ...valid, mode: 'soft' })).toMatchObject({ ...common, mode: 'soft', onOutage: 'local' })
    expect(settings({ ...valid, mode: 'leased' })).toMatchObject({ ...common, onOutage: 'deny' })
    expect(settings({ ...valid, mode: 'soft', sync: { maxOvershoot: 0 } })).toMatchObject({
      ...common,
      onOutage: 'deny',
    })
  })
})

const badKeys = ['', 'x'.repeat(1025), 'é'.repeat(513), '\uD800'.repeat(342), undefined, null, 42, {}, ['a']]
const badCosts = [0, -1, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, '1', null, {}, true, 1n]
const badDurations = [0, -5, 1.5, Number.NaN, Infinity, 'soon', '1', '731d', null, {}]

describe.each(['hard', 'soft'] as const)('calls in %s mode', (mode) => {
  function setUp() {
    const clock = new ManualClock(1_000_000)
    const store = new CountingStore(memoryStore({ clock }))
    return { clock, store, limiter: createLimiter({ ...valid, mode, store, clock }) }
  }

  async function expectRejections(
    code: string,
    act: (limiter: ReturnType<typeof setUp>['limiter']) => unknown[],
  ) {
    const { clock, store, limiter } = setUp()
    const before = await limiter.check('key')
    await clock.advance(10)
    const { calls } = store
    const stats = limiter.stats()
    for (const promise of act(limiter)) {
      expect(promise).toBeInstanceOf(Promise)
      expectConfigError(
        code,
        await (promise as Promise<unknown>).then(
          () => undefined,
          (error: unknown) => error,
        ),
      )
    }
    expect(store.calls).toBe(calls)
    expect(limiter.stats()).toEqual(stats)
    expect(await limiter.peek('key')).toMatchObject({ remaining: before.remaining - 1 })
  }

  it('refuse bad keys', () =>
    expectRejections('ERR_KEY', (limiter) =>
      badKeys.flatMap((bad) => {
        const key = bad as string
        return [
          limiter.check(key),
          limiter.peek(key),
          limiter.acquire(key),
          limiter.refund(key),
          limiter.block(key, '1s'),
          limiter.reset(key),
        ]
      }),
    ))

  it('refuse bad costs', () =>
    expectRejections('ERR_COST', (limiter) =>
      badCosts.flatMap((bad) => {
        const cost = bad as number
        return [limiter.check('key', { cost }), limiter.acquire('key', { cost }), limiter.refund('key', cost)]
      }),
    ))

  it('refuse bad durations', () =>
    expectRejections('ERR_DURATION', (limiter) =>
      badDurations.flatMap((bad) => {
        const duration = bad as string
        return [limiter.block('key', duration), limiter.acquire('key', { maxWait: duration })]
      }),
    ))

  it('refuse options that are no object', () =>
    expectRejections('ERR_OPTION', (limiter) =>
      [5, null, 'cost', true, [], Promise.resolve({ cost: 5 })].flatMap((bad) => {
        const options = bad as unknown as object
        return [
          limiter.check('key', options),
          limiter.acquire('key', options),
          limiter.peek('key', options),
          limiter.reserve('key', 1, options),
          limiter.refund('key', 1, options),
          limiter.penalty('key', 1, options),
        ]
      }),
    ))

  it('refuse options that are of another call', () =>
    expectRejections('ERR_OPTION', (limiter) => [
      limiter.check('key', { signal: undefined, maxWait: '1s' } as object),
      limiter.acquire('key', { settleAfter: '1s' } as object),
      limiter.peek('key', { cost: 5 } as object),
      limiter.reserve('key', 1, { cost: 5 } as object),
      limiter.refund('key', 1, { cost: 5 } as object),
      limiter.penalty('key', 1, { cost: 5 } as object),
    ]))

  it('say which options there are', async () => {
    const { limiter } = setUp()
    await expect(limiter.check('key', { cst: 5 } as object)).rejects.toThrow(
      'the option is "cst": check has none of that name; there are cost, limit',
    )
    await expect(limiter.penalty('key', 1, { cst: 5 } as object)).rejects.toThrow(
      'the option is "cst": penalty has none of that name; there are limit',
    )
  })

  it('refuse a settleAfter of null', () =>
    expectRejections('ERR_DURATION', (limiter) => [
      limiter.reserve('key', 1, { settleAfter: null as unknown as string }),
    ]))

  it('refuse events that there are none of, and listeners that are no function', () => {
    const { limiter } = setUp()
    for (const event of ['denied', 'error', undefined, null, 5, Symbol('s'), Object.create(null)]) {
      const error = thrown(() => limiter.on(event as 'degraded', () => {}))
      expectConfigError('ERR_OPTION', error)
      expect((error as Error).message).toContain("there are 'degraded' and 'recovered'")
    }
    for (const listener of [undefined, null, 5, {}, 'log']) {
      const error = thrown(() => limiter.on('degraded', listener as unknown as () => void))
      expectConfigError('ERR_OPTION', error)
      expect((error as Error).message).toContain('give a function')
    }
  })
})

it('checkSync throws for what is bad', () => {
  const clock = new ManualClock(1_000_000)
  const store = new CountingStore(memoryStore({ clock }))
  const limiter = createLimiter({ ...valid, mode: 'soft', store, clock })
  for (const bad of badKeys)
    expectConfigError(
      'ERR_KEY',
      thrown(() => limiter.checkSync(bad as string)),
    )
  for (const bad of badCosts) {
    expectConfigError(
      'ERR_COST',
      thrown(() => limiter.checkSync('key', { cost: bad as number })),
    )
  }
  expectConfigError(
    'ERR_OPTION',
    thrown(() => limiter.checkSync('key', 5 as unknown as object)),
  )
  expect(store.calls).toBe(0)
  expect(limiter.stats()).toMatchObject({ checks: 0, keys: 0, pending: 0 })
})
