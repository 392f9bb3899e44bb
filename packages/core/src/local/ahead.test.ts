import { expect, test, vi } from 'vitest'
import {
  createLimiter,
  type Limit,
  type LimiterOptions,
  type SoftLimiter,
  slidingLog,
  slidingWindow,
} from '../index.ts'
import { ManualClock, PoissonTraffic, type SimulatedNode, Simulation, seededRandom } from '../testing.ts'

const NODES = 16
const WINDOW = 1000
const limit = slidingLog({ limit: 1000, window: WINDOW })

function fleet(seed: number, modes: readonly LimiterOptions['mode'][]): Simulation {
  const simulation = new Simulation({ seed, network: { latency: 0.5 } })
  for (const mode of modes)
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({
          ...{ name: 'api', limit, mode: mode as 'leased', maxKeys: 64 },
          sync: mode === 'hard' ? undefined : { interval: '100ms' },
          ...surroundings,
        }),
    })
  return simulation
}

const leased = Array.from({ length: NODES }, () => 'leased' as const)

test('nodes that are asked for twice the limit spend all that a log frees, and never more', async () => {
  const simulation = fleet(1, leased)
  await simulation.run(8 * WINDOW, new PoissonTraffic({ random: seededRandom(2), rate: 2000, nodes: NODES }))
  const { overshoot, share, entriesPerCheck } = simulation.report(limit)
  expect(overshoot.cost).toBeLessThanOrEqual(0)
  expect(share).toBeGreaterThan(0.98)
  expect(entriesPerCheck).toBeLessThan(0.1)
})

test.each([1, 2, 3])(
  'what is booked ahead is not free before its time where nodes close: seed %i',
  async (seed) => {
    const simulation = fleet(seed, [...leased, 'hard'])
    const closing = 3.5 * WINDOW
    for (const node of simulation.nodes.slice(0, NODES))
      simulation.at(closing, () => void node.limiter.close().catch(() => {}))
    const random = seededRandom(seed)
    // Then all goes to the hard one, so much that it takes whatever is free at once.
    const nodes = (time: number) => (time < closing ? Math.floor(random() * NODES) : NODES)
    const isFlood = (time: number) => time >= closing && time < closing + 100
    const rate = (time: number) => (isFlood(time) ? 50_000 : 2000)
    await simulation.run(
      5 * WINDOW,
      new PoissonTraffic({ random: seededRandom(seed + 3), rate, peak: 50_000, nodes }),
    )
    const { overshoot, share } = simulation.report(limit)
    expect(overshoot.cost).toBeLessThanOrEqual(0)
    // And all of it is taken: what was given back, too.
    expect(share).toBeGreaterThan(0.98)
  },
)

test.each([1, 3])(
  'what an answer booked that was lost is not spent before its time: seed %i',
  async (seed) => {
    const lossy = slidingLog({ limit: 200, window: WINDOW })
    const simulation = new Simulation({ seed, network: { latency: 0.5, replyLoss: 0.1 } })
    for (let node = 0; node < 9; node++) {
      const isLeased = node < 8
      simulation.addNode({
        limiter: (surroundings) =>
          createLimiter({
            ...{ name: 'api', limit: lossy, mode: isLeased ? 'leased' : 'hard', timeout: '20ms' },
            ...{ sync: isLeased ? { interval: '100ms' } : undefined, ...surroundings },
          } as LimiterOptions),
      })
    }
    // Whatever is free the hard one takes, each 2 ms.
    for (let time = 2 * WINDOW; time < 6 * WINDOW; time += 2)
      simulation.at(time, () => void simulation.nodes[8]?.check('key'))
    await simulation.run(
      6 * WINDOW,
      new PoissonTraffic({ random: seededRandom(seed + 3), rate: 800, nodes: 8 }),
    )
    const { overshoot } = simulation.report(lossy)
    expect(overshoot.cost).toBeLessThanOrEqual(0)
  },
)

test('what was booked ahead and given up does not count anew where the store loses its data', async () => {
  const simulation = fleet(1, leased)
  const traffic = new PoissonTraffic({ random: seededRandom(2), rate: 2000, nodes: NODES })
  const admitted = () => simulation.nodes.reduce((sum, { limiter }) => sum + limiter.stats().admitted, 0)
  await simulation.run(2 * WINDOW, traffic)
  const before = admitted()
  await simulation.run(1.3 * WINDOW, traffic)
  // Nobody asks any more: what is booked goes back, and what is not free yet goes back into the log until it is.
  await simulation.run(WINDOW / 4)
  simulation.server.loseData()
  await simulation.run(WINDOW / 8)
  // The nodes give back what they admitted in this slice and the one before.
  const { limiter: observer } = simulation.addNode({
    limiter: (surroundings) =>
      createLimiter({ name: 'api', limit: slidingLog({ limit: 5000, window: WINDOW }), ...surroundings }),
  })
  const peeked = observer.peek('key')
  await simulation.run(10)
  const { remaining } = await peeked
  // A peek tells what would be left behind it.
  expect(5000 - remaining - 1).toBe(admitted() - before)
})

test('a node that is refused is told when it may spend what is booked for it', async () => {
  const simulation = fleet(1, leased)
  const { limiter } = simulation.nodes[0] as SimulatedNode
  const after: boolean[] = []
  const ask = async (waited: boolean) => {
    const { allowed, retryAfterMs } = await limiter.check('key')
    if (waited) after.push(allowed)
    simulation.at(simulation.time + Math.max(1, retryAfterMs), () => void ask(!allowed))
  }
  simulation.at(2 * WINDOW, () => void ask(false))
  // Nobody else asks this one.
  const nodes = (_: number, random: () => number) => 1 + Math.floor(random() * (NODES - 1))
  await simulation.run(5 * WINDOW, new PoissonTraffic({ random: seededRandom(2), rate: 1900, nodes }))
  const allowed = after.filter((is) => is).length
  expect(after.length).toBeGreaterThan(100)
  // At other times it has nothing booked, and is told of what is.
  expect(allowed).toBeGreaterThan(0.5 * after.length)
})

test('a node whose limit others pass takes nothing out of a log that it could not spend', async () => {
  const lower = slidingLog({ limit: 50, window: WINDOW })
  const higher = slidingLog({ limit: 200, window: WINDOW })
  const simulation = new Simulation({ seed: 1, network: { latency: 0.5 } })
  for (let node = 0; node < NODES; node++) {
    const isLeased = node < NODES / 2
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({
          ...{ name: 'api', limit: isLeased ? lower : higher, mode: isLeased ? 'leased' : 'hard' },
          ...{ sync: isLeased ? { interval: '100ms' } : undefined, ...surroundings },
        } as LimiterOptions),
    })
  }
  await simulation.run(8 * WINDOW, new PoissonTraffic({ random: seededRandom(2), rate: 1600, nodes: NODES }))
  const { overshoot, share } = simulation.report(higher)
  expect(overshoot.cost).toBeLessThanOrEqual(0)
  expect(share).toBeGreaterThan(0.99)
})

test.each([
  ['leased', {}],
  ['soft', { maxOvershoot: 0.1 }],
] as const)(
  'a refusal of a log of which nothing is booked ahead reads no clock for it: %s',
  async (mode, sync) => {
    const reads = async (kind: Limit) => {
      const clock = new ManualClock(WINDOW)
      const reading = vi.spyOn(clock, 'monotonic')
      const limiter = createLimiter({
        name: 'api',
        limit: kind,
        mode,
        sync,
        clock,
      } as LimiterOptions) as SoftLimiter
      while ((await limiter.check('key')).allowed);
      expect(limiter.checkSync('key', {})).toMatchObject({ allowed: false, reason: 'limit' })
      reading.mockClear()
      expect(limiter.checkSync('key', {})).toMatchObject({ allowed: false, reason: 'limit' })
      const its = reading.mock.calls.length
      await limiter.close()
      return its
    }
    expect(await reads(slidingLog({ limit: 10, window: WINDOW }))).toBe(
      await reads(slidingWindow({ limit: 10, window: WINDOW })),
    )
  },
)
