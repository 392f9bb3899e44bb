import fc from 'fast-check'
import { expect, it } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import {
  createLimiter,
  fixedWindow,
  type LimiterOptions,
  leakyBucket,
  type ScopeKeys,
  type SoftLimiter,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

const limit = fc.oneof(
  fc
    .record({ limit: fc.integer({ min: 1, max: 12 }), window: fc.integer({ min: 500, max: 20_000 }) })
    .map(fixedWindow),
  fc
    .record({ limit: fc.integer({ min: 1, max: 12 }), window: fc.integer({ min: 500, max: 20_000 }) })
    .map(slidingWindow),
  fc
    .record({
      capacity: fc.integer({ min: 1, max: 12 }),
      refill: fc.integer({ min: 1, max: 9 }),
      per: fc.integer({ min: 200, max: 3000 }),
    })
    .map(tokenBucket),
  fc
    .record({
      capacity: fc.integer({ min: 1, max: 12 }),
      leak: fc.integer({ min: 1, max: 9 }),
      per: fc.integer({ min: 200, max: 3000 }),
    })
    .map(leakyBucket),
)

const step = fc.record({
  act: fc.constantFrom(
    'check',
    'check',
    'check',
    'check',
    'checkSync',
    'checkSync',
    'checkSync',
    'checkSync',
    'checkSync',
    'peek',
    'refund',
    'penalty',
    'block',
    'reset',
    'flush',
    'wait',
  ),
  node: fc.integer({ min: 0, max: 1 }),
  user: fc.integer({ min: 0, max: 2 }),
  ip: fc.integer({ min: 0, max: 2 }),
  cost: fc.oneof(
    { weight: 8, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 14 }) },
  ),
  times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 8 })),
  wait: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    fc.integer({ min: 1, max: 30 }),
    fc.integer({ min: 1, max: 4000 }),
  ),
})

const world = fc.record({
  mode: fc.constantFrom('soft' as const, 'leased' as const),
  maxOvershoot: fc.constantFrom(undefined, undefined, 0, 0.2),
  limits: fc.array(limit, { minLength: 2, maxLength: 4 }),
  scoped: fc.boolean(),
  nodes: fc.integer({ min: 1, max: 2 }),
  maxKeys: fc.constantFrom(2, 1000),
  latency: fc.constantFrom(0, 3, 40),
  steps: fc.array(step, { minLength: 20, maxLength: 80 }),
})

type World = typeof world extends fc.Arbitrary<infer W> ? W : never

// A check that is given options, be it none, goes the long way.
async function run(w: World, options: object | undefined): Promise<unknown[]> {
  const clock = new ManualClock(1_000_000_000)
  const store = slowStore(clock, () => w.latency)
  const make = (seed: number) =>
    createLimiter({
      name: 'api',
      mode: w.mode,
      store,
      clock,
      random: seededRandom(seed),
      maxKeys: w.maxKeys,
      ...(w.mode === 'soft' && w.maxOvershoot !== undefined
        ? { sync: { maxOvershoot: w.maxOvershoot } }
        : {}),
      ...(w.scoped ? { scopes: { user: w.limits.slice(1), ip: w.limits[0]! } } : { limit: w.limits }),
    } as LimiterOptions<'soft'>) as unknown as SoftLimiter<string | ScopeKeys>
  const nodes = Array.from({ length: w.nodes }, (_, n) => make(n + 1))
  const told: unknown[] = []
  const waiting: Promise<void>[] = []
  for (const s of w.steps) {
    const node = nodes[s.node % nodes.length]!
    const key = w.scoped
      ? {
          ...(s.user < 2 || s.ip === 2 ? { user: `u${s.user}` } : {}),
          ...(s.ip < 2 ? { ip: `i${s.ip}` } : {}),
        }
      : `u${s.user}`
    for (let time = 0; time < s.times; time++) {
      const place = told.push(undefined) - 1
      const note = (value: unknown) => {
        told[place] = [clock.monotonic(), s.act, value]
      }
      const noteError = (error: unknown) => note(String(error))
      const its = s.cost === 1 ? options : { cost: s.cost }
      if (s.act === 'checkSync') note(its === undefined ? node.checkSync(key) : node.checkSync(key, its))
      else if (s.act === 'check')
        waiting.push((its === undefined ? node.check(key) : node.check(key, its)).then(note, noteError))
      else if (s.act === 'peek') waiting.push(node.peek(key).then(note, noteError))
      else if (s.act === 'refund') waiting.push(node.refund(key, s.cost).then(note, noteError))
      else if (s.act === 'penalty') waiting.push(node.penalty(key, s.cost).then(note, noteError))
      else if (s.act === 'block') waiting.push(node.block(key, 500).then(note, noteError))
      else if (s.act === 'reset') waiting.push(node.reset(key).then(note, noteError))
      else if (s.act === 'flush') waiting.push(node.flush().then(note, noteError))
    }
    await clock.advance(s.wait)
  }
  await clock.advance(10_000)
  await Promise.all(waiting)
  for (const node of nodes) told.push(node.stats())
  const closing = Promise.all(nodes.map((node) => node.close()))
  await clock.advance(1000)
  await closing
  return told
}

it('several limits: by their rows checks are told what they are told by the long way', async () => {
  await fc.assert(
    fc.asyncProperty(world, async (w) => {
      expect(await run(w, undefined)).toEqual(await run(w, {}))
    }),
  )
}, 60_000)
