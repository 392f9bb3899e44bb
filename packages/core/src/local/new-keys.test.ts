import fc from 'fast-check'
import { expect, it } from 'vitest'
import { slowFarStore } from '../../test/slow-store.ts'
import {
  createLimiter,
  type Decision,
  fixedWindow,
  type Limit,
  memoryStore,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import type { Operation } from '../store/store.ts'
import { ManualClock, type SimulatedNode, Simulation, seededRandom } from '../testing.ts'

it.each([
  [1_000_000, 1],
  [16, 2],
])('of a limit of %i, a key that was not known is settled by command %i', async (limit, commands) => {
  const clock = new ManualClock()
  const limiter = createLimiter({
    name: 'new',
    limit: fixedWindow({ limit, window: '1h' }),
    mode: 'soft',
    store: memoryStore({ clock }),
    clock,
    sync: { interval: '1s' },
  })
  limiter.checkSync('old')
  await clock.advance(5000)
  const { storeCalls } = limiter.stats()
  limiter.checkSync('key', { cost: 2 })
  await clock.advance(1)
  // Read; and settled where two on each node would be much beside what is left.
  expect(limiter.stats()).toMatchObject({
    storeCalls: storeCalls + commands,
    pending: commands === 1 ? 2 : 0,
  })
  await clock.advance(1000)
  expect(limiter.stats().pending).toBe(0)
  await limiter.close()
})

/** Soft nodes that have been there for `age` ms, and what they tell the store, `trip` ms away. */
async function fleet(limit: Limit, count = 4, trip = 0, age = 5000) {
  const clock = new ManualClock(1_800_000_000_000)
  const memory = memoryStore({ clock })
  const told: Operation[] = []
  const store = slowFarStore(clock, trip / 2, trip / 2, memory, (operations) => told.push(...operations))
  const random = seededRandom(1)
  const make = () => createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random })
  const nodes = Array.from({ length: count }, make)
  await Promise.all([...nodes.map((node) => node.check('old')), clock.advance(age)])
  told.length = 0
  const hard = createLimiter({ name: 'api', limit, store: memory, clock })
  const close = async () => {
    await Promise.all([hard.close(), ...nodes.map((node) => node.close()), clock.advance(1000)])
  }
  return { clock, nodes, hard, told, close }
}

/** Plenty for four nodes. */
const HOURLY = { limit: 1000, window: '1h' } as const

it.each([
  ['fixed window', fixedWindow(HOURLY)],
  ['sliding window', slidingWindow(HOURLY)],
  ['token bucket', tokenBucket({ capacity: 1000, refill: 1000, per: '1h' })],
])(
  '%s: a check that waits for a new key is told as one that does not: no quota is booked',
  async (_, limit) => {
    const { clock, nodes, told, close } = await fleet(limit)
    for (let second = 0; second < 5; second++) {
      for (const node of nodes) expect(await node.check('key')).toMatchObject({ allowed: true })
      await clock.advance(1000)
    }
    expect(told.some(([name]) => name === 'settle')).toBe(true)
    for (const [name, , ...numbers] of told) {
      const ask = name === 'read' ? numbers[0] : name === 'settle' ? numbers[4] : undefined
      if (ask !== undefined) expect(ask).toEqual([expect.any(Number), 0, 0, 0])
      if (name === 'settle') expect(numbers[2]).toEqual([expect.any(Number), 0, 0, 0])
    }
    await close()
  },
)

it.each([
  [100_000, 5000, false],
  [1000, 5000, true],
  // Nodes that do not know each other yet.
  [100_000, 10, false],
  [1000, 10, true],
])(
  'of a limit of %i, %i ms after the start, quota of a new key of which many are admitted is booked: %s',
  async (most, age, isBooked) => {
    const { clock, nodes, told, close } = await fleet(fixedWindow({ limit: most, window: '1h' }), 4, 0, age)
    for (let second = 0; second < 10; second++) {
      for (const node of nodes)
        for (let check = 0; check < 12; check++) expect((await node.check('key')).allowed).toBe(true)
      await clock.advance(1000)
    }
    const asks = told.map((operation) => (operation[0] === 'settle' ? operation[6] : undefined))
    expect(asks.some((ask) => (ask?.[2] ?? 0) > 0)).toBe(isBooked)
    await close()
  },
)

it('what little is left of a key that is new to many nodes goes to the checks that come, and to no more', async () => {
  const history = fc.record({
    count: fc.integer({ min: 2, max: 8 }),
    left: fc.nat(40),
    most: fc.constantFrom(10, 1000),
    // While an answer is under way, each node may take a part of what is left for its later checks.
    pattern: fc.constantFrom(
      { trip: 0, checks: 1 },
      { trip: 0, checks: 4 },
      { trip: 1, checks: 1 },
      { trip: 20, checks: 1 },
    ),
    apart: fc.nat(2),
  })
  await fc.assert(
    fc.asyncProperty(history, async ({ count, left, most, pattern: { trip, checks }, apart }) => {
      const limit = fixedWindow({ limit: most, window: '1h' })
      const { clock, nodes, hard, close } = await fleet(limit, count, trip)
      const free = Math.min(left, most)
      if (free < most) await hard.check('key', { cost: most - free })
      const asked: Promise<Decision>[] = []
      for (let check = 0; check < checks; check++)
        for (const node of nodes) {
          asked.push(node.check('key'))
          await clock.advance(apart)
        }
      await clock.advance(100)
      const allowed = (await Promise.all(asked)).filter((decision) => decision.allowed)
      expect(allowed.length).toBe(Math.min(free, count * checks))
      await close()
    }),
  )
})

it('a node that was asked for little of a new key and then for much hears of the others in time', async () => {
  const { clock, nodes, close } = await fleet(fixedWindow({ limit: 10_000, window: '1m' }), 16, 1)
  let allowed = 0
  const check = (node: number, cost: number) => {
    void nodes[node % nodes.length]?.check('key', { cost }).then((decision) => {
      if (decision.allowed) allowed += cost
    })
  }
  // Each admits a few, and settles them.
  for (let ms = 0; ms < 400; ms++) {
    if (ms % 33 === 0) for (let node = 0; node < nodes.length; node++) check(node, 1)
    await clock.advance(1)
  }
  // Half of them take most of what is left; the others, of whom nothing was asked meanwhile, are then rushed.
  for (let ms = 0; ms < 3000; ms++) {
    if (ms % 3 === 0) check((ms / 3) % 8, 8)
    await clock.advance(1)
  }
  for (let ms = 0; ms < 50; ms++) {
    for (let one = 0; one < 20; one++) check(8 + (one % 8), 10)
    await clock.advance(1)
  }
  await clock.advance(100)
  expect(allowed).toBeGreaterThan(9000)
  expect(allowed).toBeLessThanOrEqual(10_000)
  await close()
})

it('a node that is rushed in its first interval tells the others what it takes, also after it asked for quota', async () => {
  const limit = fixedWindow({ limit: 100_000, window: '1m' })
  const simulation = new Simulation({ seed: 7, network: { latency: 0.5 } })
  const nodes = Array.from({ length: 8 }, () =>
    simulation.addNode({
      limiter: (surroundings) => createLimiter({ name: 'api', limit, mode: 'soft', ...surroundings }),
    }),
  )
  /** So many checks in so long, each of another one of the nodes than the one before. */
  const rush = (from: number, ms: number, checks: number, rushed: readonly SimulatedNode[], cost: number) => {
    for (let check = 0; check < checks; check++)
      simulation.at(from + (check * ms) / checks, () => rushed[check % rushed.length]?.check('key', cost))
  }
  rush(200, 400, 96, nodes, 1)
  // Half of them take most of what is left, and then the others the rest.
  rush(650, 500, 4000, nodes.slice(0, 4), 20)
  rush(1160, 20, 5000, nodes.slice(4), 20)
  await simulation.run(180_000)
  expect(simulation.report(limit).overshoot.first).toBe(0)
})
