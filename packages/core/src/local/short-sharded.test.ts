import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { shardedStore } from '../../test/sharded-store.ts'
import { slowStore } from '../../test/slow-store.ts'
import { TurningClock } from '../../test/turning-clock.ts'
import {
  createLimiter,
  fixedWindow,
  type LimiterOptions,
  leakyBucket,
  memoryStore,
  type SoftLimiter,
  type Stats,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ShardedLimit } from '../sharded-limit.ts'
import { ManualClock } from '../testing.ts'
import { LocalDecisions } from './local-decisions.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

const keys = Array.from({ length: 8 }, (_, n) => `key${n}`)

function setUp(limit = fixedWindow({ limit: 20, window: '1m' }), options: Partial<LimiterOptions> = {}) {
  const clock = new TurningClock(60_000_000)
  const store = shardedStore(memoryStore({ clock }), 4)
  const limiter = createLimiter({ name: 'api', limit, mode: 'soft', store, clock, ...options } as never)
  return { clock, limiter: limiter as SoftLimiter }
}

describe('over several shards', () => {
  it.each(['soft', 'leased'] as const)('%s: a held key is admitted by its row', async (mode) => {
    const { limiter } = setUp(fixedWindow({ limit: 10_000, window: '1m' }), { mode })
    for (const key of keys) await limiter.check(key)
    for (const key of keys) await limiter.check(key)
    const taking = vi.spyOn(LocalDecisions.prototype, 'takeReady')
    for (const key of keys) {
      expect(limiter.checkSync(key)).toMatchObject({ allowed: true })
      expect(await limiter.check(key)).toMatchObject({ allowed: true })
    }
    const taken = taking.mock.results.filter(({ value }) => value !== undefined)
    expect(taken.length).toBe(2 * keys.length)
    expect(limiter.stats()).toMatchObject({ checks: 4 * keys.length, admitted: 4 * keys.length, keys: 8 })
    await limiter.close()
  })

  it('is refused by it', async () => {
    const { clock, limiter } = setUp()
    for (let check = 0; check < 20; check++) for (const key of keys) limiter.checkSync(key)
    await limiter.flush()
    clock.endTurn()
    for (let check = 0; check < 3; check++) for (const key of keys) limiter.checkSync(key)
    const refusing = vi.spyOn(LocalDecisions.prototype, 'refuseShut')
    for (const key of keys) {
      expect(limiter.checkSync(key)).toMatchObject({ allowed: false, reason: 'limit' })
      expect(await limiter.check(key)).toMatchObject({ allowed: false, reason: 'limit' })
    }
    const refused = refusing.mock.results.filter(({ value }) => value !== undefined)
    expect(refused.length).toBe(2 * keys.length)
    expect(limiter.stats()).toMatchObject({ admitted: 160, denied: 40 })
    await limiter.close()
  })

  it('checks of different shards are one burst: each shard reads the time, and the turn ends once', async () => {
    const { clock, limiter } = setUp(fixedWindow({ limit: 10_000, window: '1m' }))
    const checkAll = () => {
      for (const key of keys) {
        limiter.checkSync(key)
        // Too far apart for a burst of one shard's.
        clock.hold(0.002)
      }
    }
    for (const key of keys) await limiter.check(key)
    for (let time = 0; time < 4; time++) checkAll()
    clock.endTurn()
    const ending = vi.spyOn(clock, 'afterTurn')
    const reading = vi.spyOn(clock, 'monotonic')
    for (let time = 0; time < 8; time++) checkAll()
    expect(ending).toHaveBeenCalledTimes(1)
    // Two to a reading.
    expect(reading.mock.calls.length).toBeLessThan(32)
    clock.endTurn()
    reading.mockClear()
    limiter.checkSync('key0')
    expect(reading).toHaveBeenCalled()
    await limiter.close()
  })

  it.each(['hard', 'soft', 'leased'] as const)(
    '%s: a string too long for a key is not read',
    async (mode) => {
      const { limiter } = setUp(undefined, { mode })
      for (const key of keys) await limiter.check(key)
      const placing = vi.spyOn(ShardedLimit.prototype as never, 'placeOf')
      for (const key of ['x'.repeat(1025), 'x'.repeat(2 ** 20)])
        await expect(limiter.check(key)).rejects.toMatchObject({ code: 'ERR_KEY' })
      expect(placing).not.toHaveBeenCalled()
      await limiter.close()
    },
  )

  it('hard: whose shard a key is of is asked once', async () => {
    const { limiter } = setUp(undefined, { mode: 'hard' })
    const placing = vi.spyOn(ShardedLimit.prototype as never, 'placeOf')
    await limiter.check('key0')
    expect(placing).toHaveBeenCalledTimes(1)
    await limiter.close()
  })

  it('bad calls are refused as ever, and open no shard', async () => {
    const { limiter } = setUp()
    const bad = (key: unknown, options?: unknown) => () => limiter.checkSync(key as string, options as never)
    const check = (key: unknown, options?: unknown) => limiter.check(key as string, options as never)
    for (const key of ['', 'x'.repeat(1025), undefined, null, 7, {}, ['key0']]) {
      expect(bad(key)).toThrow(expect.objectContaining({ code: 'ERR_KEY' }))
      await expect(check(key)).rejects.toMatchObject({ code: 'ERR_KEY' })
    }
    limiter.checkSync('key0')
    limiter.checkSync('key0')
    expect(bad('key0', null)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
    expect(bad('key0', { cost: 0 })).toThrow(expect.objectContaining({ code: 'ERR_COST' }))
    expect(limiter.stats()).toMatchObject({ checks: 2, keys: 1 })
    await limiter.close()
    expect(bad('key0')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    expect(bad('')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    await expect(check('key0')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

const small = { min: 1, max: 12 }
const window = fc.integer({ min: 500, max: 20_000 })
/** A limit of any number, so that another one of its kind may be set or chosen. */
const kinds = fc.oneof(
  window.map((window) => (limit: number) => fixedWindow({ limit, window })),
  window.map((window) => (limit: number) => slidingWindow({ limit, window })),
  window.map((window) => (limit: number) => slidingLog({ limit, window })),
  window.map((per) => (capacity: number) => tokenBucket({ capacity, refill: capacity, per })),
  window.map((per) => (capacity: number) => leakyBucket({ capacity, leak: capacity, per })),
)

const checks = ['check', 'check', 'checkSync', 'checkSync', 'checkSync'] as const
const verbs = ['peek', 'refund', 'penalty', 'block', 'reset', 'setLimit', 'flush', 'wait'] as const

const step = fc.record({
  act: fc.constantFrom(...checks, ...checks, ...verbs),
  node: fc.nat(1),
  key: fc.nat(5),
  cost: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer(small) }),
  plan: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
  times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 8 })),
  wait: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(30), fc.nat(4000)),
})

const world = fc.record({
  mode: fc.constantFrom('soft' as const, 'leased' as const),
  kind: kinds,
  limit: fc.integer(small),
  plan: fc.integer(small),
  dryRun: fc.boolean(),
  listed: fc.boolean(),
  spike: fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, fc.constant(true)),
  steps: fc.array(step, { minLength: 20, maxLength: 60 }),
})

type World = typeof world extends fc.Arbitrary<infer W> ? W : never

/** @param options that a check of cost 1 is given: with any, be it none, it goes the long way */
async function run(w: World, shards: number, nodes: number, latency: number, options?: object) {
  const clock = new ManualClock(1_000_000_000)
  const inner = slowStore(clock, () => latency)
  const store = shards === 1 ? inner : shardedStore(inner, shards)
  const make = () =>
    createLimiter({
      name: 'api',
      mode: w.mode,
      limit: w.kind(w.limit),
      store,
      clock,
      random: () => 0.5,
      dryRun: w.dryRun,
      ...(w.listed && { allow: ['key4'], deny: ['key5'] }),
      ...(w.spike && { spike: { extra: 3, per: '5s' } }),
    })
  const all = Array.from({ length: nodes }, make)
  const plan = w.kind(w.plan)
  const told: unknown[] = []
  const waiting: Promise<void>[] = []
  for (const s of w.steps) {
    const node = all[s.node % nodes]!
    const key = `key${s.key}`
    for (let time = 0; time < s.times; time++) {
      const place = told.push(undefined) - 1
      const note = (value: unknown) => {
        told[place] = [clock.monotonic(), s.act, value]
      }
      const noteError = (error: unknown) => note(String(error))
      const its = s.plan ? { cost: s.cost, limit: plan } : s.cost === 1 ? options : { cost: s.cost }
      const wait = (answer: Promise<unknown>) => waiting.push(answer.then(note, noteError))
      if (s.act === 'checkSync') note(its === undefined ? node.checkSync(key) : node.checkSync(key, its))
      else if (s.act === 'check') wait(its === undefined ? node.check(key) : node.check(key, its))
      else if (s.act === 'peek') wait(node.peek(key))
      else if (s.act === 'refund') wait(node.refund(key, s.cost))
      else if (s.act === 'penalty') wait(node.penalty(key, s.cost))
      else if (s.act === 'block') wait(node.block(key, 500))
      else if (s.act === 'reset') wait(node.reset(key))
      else if (s.act === 'setLimit') wait(node.setLimit(plan))
      else if (s.act === 'flush') wait(node.flush())
    }
    await clock.advance(s.wait)
  }
  await clock.advance(10_000)
  await Promise.all(waiting)
  const flushing = Promise.all(all.map((node) => node.flush()))
  await clock.advance(1000)
  await flushing
  const stats = all.map((node) => node.stats())
  const closing = Promise.all(all.map((node) => node.close()))
  await clock.advance(1000)
  await closing
  return { told, stats }
}

const MOST = 60_000

it(
  'over several shards: by their rows checks are told what they are told by the long way',
  async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom(1, 2), fc.constantFrom(0, 3, 40), async (w, nodes, latency) => {
        expect(await run(w, 4, nodes, latency)).toEqual(await run(w, 4, nodes, latency, {}))
      }),
      { numRuns: 40 },
    )
  },
  MOST,
)

it(
  'one node decides over several shards as over one',
  async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.constantFrom(2, 5), async ({ steps, ...others }, shards) => {
        // When a key is settled depends on the other keys of its shard. So does what a leased node has booked, what a
        // bucket has drained when another limit is set, and what a plan, to the store another node, is told.
        const its = steps.filter(({ act, plan }) => act !== 'setLimit' && !plan)
        const w = { ...others, mode: 'soft' as const, steps: its }
        const [many, one] = [await run(w, shards, 1, 0), await run(w, 1, 1, 0)]
        expect(many.told).toEqual(one.told)
        const counted = ({ checks, admitted, denied, keys, pending }: Stats) => [
          checks,
          admitted,
          denied,
          keys,
          pending,
        ]
        expect(many.stats.map(counted)).toEqual(one.stats.map(counted))
      }),
      { numRuns: 40 },
    )
  },
  MOST,
)
