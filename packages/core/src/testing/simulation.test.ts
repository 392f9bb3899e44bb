import { expect, test } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  type LimiterOptions,
  leakyBucket,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import {
  type NetworkConditions,
  type NodeOptions,
  PoissonTraffic,
  Simulation,
  type SimulationOptions,
  seededRandom,
} from '../testing.ts'

const WINDOW = 1000
const limits: [string, Limit][] = [
  ['fixed window', fixedWindow({ limit: 100, window: WINDOW })],
  ['sliding window', slidingWindow({ limit: 100, window: WINDOW })],
  ['sliding log', slidingLog({ limit: 100, window: WINDOW })],
  ['token bucket', tokenBucket({ capacity: 100, refill: 100, per: WINDOW })],
  ['leaky bucket', leakyBucket({ capacity: 100, leak: 100, per: WINDOW })],
]
const fixed = fixedWindow({ limit: 100, window: WINDOW })

function fleet(
  count: number,
  limiter: Partial<LimiterOptions>,
  options: SimulationOptions = {},
  node: Partial<NodeOptions> | ((index: number) => Partial<NodeOptions>) = {},
): Simulation {
  const simulation = new Simulation(options)
  for (let index = 0; index < count; index++) {
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({
          ...{ name: 'api', limit: fixed, mode: 'soft', maxKeys: 100 },
          sync: limiter.mode === 'hard' ? undefined : { interval: 100 },
          ...limiter,
          ...surroundings,
        }),
      ...(typeof node === 'function' ? node(index) : node),
    })
  }
  return simulation
}

function poisson(rate: number, nodes: number, seed = 1) {
  return new PoissonTraffic({ random: seededRandom(seed), rate, nodes })
}

/** Everything at once. */
const rough: Partial<NetworkConditions> = {
  latency: (random) => 0.2 - 3 * Math.log(1 - random()),
  requestLoss: 0.02,
  replyLoss: 0.02,
  duplication: 0.02,
  overtaking: true,
}

function trouble(simulation: Simulation): void {
  simulation.at(1500, () => simulation.nodes[0]?.crash())
  simulation.at(1900, () => simulation.nodes[0]?.restart())
  simulation.at(2500, () => simulation.nodes[1]?.pause(700))
  simulation.at(2700, () => simulation.nodes[2]?.pause(1300, { suspended: true }))
  simulation.at(4500, () => simulation.server.stall(300))
  simulation.at(6100, () => simulation.server.goAway(200))
}

async function troubled(seed: number) {
  const simulation = fleet(
    4,
    { limit: slidingWindow({ limit: 100, window: WINDOW }) },
    { seed, network: rough },
  )
  trouble(simulation)
  await simulation.run(8000, poisson(400, 4, seed))
  return simulation.report(fixed)
}

test('the same seed gives the same run, with all its faults; another one gives another', async () => {
  expect(await troubled(1)).toEqual(await troubled(1))
  expect(await troubled(1)).not.toEqual(await troubled(2))
})

test.each(limits)(
  '%s: hard mode is never above its limit, whatever happens, and is used',
  async (_, limit) => {
    const skew = (index: number) => ({ skew: { wall: 3_600_000 * (index - 1), rate: 0.001 * (index - 1) } })
    const simulation = fleet(4, { mode: 'hard', limit }, { network: rough }, skew)
    trouble(simulation)
    await simulation.run(10_000, poisson(400, 4))
    expect(simulation.overshoot(limit)).toBe(0)
    const { share, waits } = simulation.report(limit)
    expect(share).toBeGreaterThan(0.7)
    expect(waits.part).toBeGreaterThan(0.8)
  },
)

test('hard mode in a calm network uses all of the limit, and every check waits a round trip or two', async () => {
  const simulation = fleet(4, { mode: 'hard' })
  await simulation.run(10_000, poisson(400, 4))
  const report = simulation.report(fixed)
  expect(report).toMatchObject({ share: 1, shareOfPossible: 1, falseDenials: 0 })
  expect(report.waits).toMatchObject({ part: 1, median: expect.closeTo(1, 6) })
  expect(report.waits.longest).toBeLessThan(2)
})

test('soft mode at a fixed interval goes over by about the others’ traffic of an interval', async () => {
  const simulation = fleet(16, { sync: { interval: 100, early: false } }, {}, { waits: false })
  await simulation.run(21 * WINDOW, poisson(200, 16))
  const { overshoot, waits, entriesPerCheck } = simulation.report(fixed)
  expect(overshoot.mean).toBeGreaterThan(0.1)
  expect(overshoot.mean).toBeLessThan(0.35)
  expect(waits.part).toBe(0)
  expect(entriesPerCheck).toBeGreaterThan(0.3)
})

test('what a check sets off leaves at the moment of the check', async () => {
  const simulation = fleet(1, {}, { network: { latency: 2 } }, { waits: false })
  const traffic = {
    at: 10,
    node: 0,
    key: 'key',
    cost: 1,
    next: () => Object.assign(traffic, { at: Infinity }),
  }
  await simulation.run(13.9, traffic)
  expect(simulation.nodes[0]?.limiter.stats()).toMatchObject({ pending: 1, storeCalls: 1 })
  await simulation.run(0.2)
  // the answer to the read came, and the settlement has left
  expect(simulation.nodes[0]?.limiter.stats()).toMatchObject({ pending: 1, storeCalls: 2 })
  await simulation.run(4)
  expect(simulation.nodes[0]?.limiter.stats()).toMatchObject({ pending: 0 })
})

test('a node whose wall clock is an hour off learns the store’s time, and counts in its window', async () => {
  const simulation = fleet(2, { mode: 'hard' }, {}, (index) => ({ skew: { wall: 3_600_000 * index } }))
  const { nodes } = simulation
  for (const node of nodes) for (let check = 0; check < 60; check++) node.check('key')
  await simulation.run(900)
  const decisions = nodes.map((node) => node.limiter.peek('key'))
  await simulation.run(10)
  expect((await Promise.all(decisions)).map(({ allowed, resetAfterMs }) => [allowed, resetAfterMs])).toEqual([
    [false, 100],
    [false, 100],
  ])
})

test('a crash loses the answers and the RAM; what was sent arrives, and a restart begins anew', async () => {
  const simulation = fleet(1, { mode: 'hard' }, { network: { latency: 5 } })
  const [node] = simulation.nodes
  node?.check('key', 60)
  await simulation.run(2)
  node?.crash()
  node?.check('key', 40)
  await simulation.run(20)
  expect(node?.alive).toBe(false)
  expect(simulation.seen).toMatchObject({ unanswered: 1 })
  expect(simulation.seen.keys.size).toBe(0)
  node?.restart()
  expect(() => node?.restart()).toThrow('alive')
  const peek = node?.limiter.peek('key')
  await simulation.run(20)
  expect(await peek).toMatchObject({ remaining: 39 })
})

test.each([false, true])(
  'a node that stands still goes on afterwards, timers first; suspended: %s',
  async (suspended) => {
    const happened: [what: string, time: number, monotonic: number][] = []
    const simulation = new Simulation({ network: { latency: 5 } })
    const node = simulation.addNode({
      limiter: ({ clock, store, random }) => {
        const begin = clock.monotonic()
        const note = (what: string) => happened.push([what, simulation.time, clock.monotonic() - begin])
        clock.setTimer(() => note('timer'), 200)
        const limiter = createLimiter({ name: 'api', limit: fixed, store, clock, random, timeout: '1h' })
        void limiter.peek('key').then(() => note('answer'))
        const check = () => {
          note('check')
          return limiter.peek('key')
        }
        return Object.assign(limiter, { check })
      },
    })
    await simulation.run(2)
    node.pause(500, { suspended })
    node.pause(50, { suspended })
    node.check('key')
    await simulation.run(499)
    expect(happened).toEqual([])
    await simulation.run(300)
    expect(happened).toEqual(
      suspended
        ? [
            ['answer', 502, 2],
            ['check', 502, 2],
            ['timer', 700, 200],
          ]
        : [
            ['timer', 502, 502],
            ['answer', 502, 502],
            ['check', 502, 502],
          ],
    )
  },
)

test('a stalled server answers afterwards, and one that is away refuses', async () => {
  const simulation = fleet(1, { mode: 'hard', timeout: 1000 })
  const [node] = simulation.nodes
  simulation.server.stall(300)
  node?.check('key')
  await simulation.run(300.4)
  expect(simulation.seen.unanswered).toBe(1)
  await simulation.run(1)
  expect(node?.limiter.stats()).toMatchObject({ admitted: 1, degraded: false })
  simulation.server.goAway(1000)
  node?.check('key')
  await simulation.run(1)
  expect(node?.limiter.stats()).toMatchObject({ admitted: 1, denied: 1, degraded: true })
})

test('a server that lost its data forgets what hard mode counted, and is told again by soft nodes', async () => {
  const admittedAfterLoss = async (mode: 'hard' | 'soft') => {
    const simulation = fleet(2, { mode })
    const [one, two] = simulation.nodes
    for (let check = 0; check < 100; check++) one?.check('key')
    two?.check('other')
    await simulation.run(400)
    simulation.server.loseData()
    one?.check('other')
    await simulation.run(400)
    two?.check('key')
    await simulation.run(50)
    return two?.limiter.stats().admitted
  }
  expect(await admittedAfterLoss('hard')).toBe(2)
  expect(await admittedAfterLoss('soft')).toBe(1)
})

test('a thousand nodes in one process', async () => {
  const simulation = fleet(
    1000,
    { limit: fixedWindow({ limit: 10_000, window: WINDOW }) },
    {},
    { waits: false },
  )
  await simulation.run(3000, poisson(20_000, 1000))
  const { windows, checks } = simulation.report(fixedWindow({ limit: 10_000, window: WINDOW }))
  expect(windows).toBe(2)
  expect(checks).toBeGreaterThan(39_000)
})

test('an error that no store can be blamed for ends the run', async () => {
  const simulation = new Simulation()
  const node = simulation.addNode({
    limiter: (surroundings) => {
      const limiter = createLimiter({ name: 'api', limit: fixed, ...surroundings })
      return Object.assign(limiter, { check: () => Promise.reject(new TypeError('a bug')) })
    },
  })
  simulation.at(10, () => node.check('key'))
  await expect(simulation.run(100)).rejects.toThrow('a bug')
  expect(simulation.time).toBe(10)
})

test('store errors are counted', async () => {
  const simulation = fleet(1, { mode: 'hard', onOutage: 'throw' })
  simulation.server.goAway(1000)
  simulation.nodes[0]?.check('key')
  await simulation.run(5000)
  expect(simulation.report(fixed)).toMatchObject({ unanswered: 1, checks: 0 })
})
