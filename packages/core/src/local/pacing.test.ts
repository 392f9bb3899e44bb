import { expect, test } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  type LimiterOptions,
  memoryStore,
  type Store,
  slidingLog,
  slidingWindow,
} from '../index.ts'
import { ManualClock, PoissonTraffic, Simulation, seededRandom } from '../testing.ts'

const NODES = 16

/** What a fleet reports that starts at once, with so many checks a second on one key: 2,000 are twice the limit. */
async function hot(
  limit: Limit,
  options: Pick<LimiterOptions, 'mode' | 'sync'>,
  windows: number,
  waits = false,
  rate = 2000,
) {
  const simulation = new Simulation({ seed: 1, network: { latency: 0.5 } })
  for (let node = 0; node < NODES; node++)
    simulation.addNode({
      waits,
      limiter: (surroundings) =>
        createLimiter({ name: 'api', limit, maxKeys: 64, ...options, ...surroundings }),
    })
  const traffic = new PoissonTraffic({ random: seededRandom(1, 2), rate, peak: rate, nodes: NODES })
  await simulation.run(windows * 1000, traffic)
  return simulation.report(limit)
}

test('soft nodes that all start at once, on an interval as long as the window, hear of each other in time', async () => {
  const limit = fixedWindow({ limit: 1000, window: '1s' })
  const { overshoot } = await hot(limit, { mode: 'soft', sync: { interval: '1s' } }, 3)
  expect(overshoot.first).toBeLessThan(0.02)
  expect(overshoot.max).toBeLessThan(0.01)
})

test.each([
  ['sliding window', slidingWindow],
  ['sliding log', slidingLog],
])(
  'in turns a %s is used up: soft nodes hardly pass it, and capped ones use their share above it',
  async (_, make) => {
    const limit = make({ limit: 1000, window: '1s' })
    const soft = await hot(limit, { mode: 'soft', sync: { interval: '1s' } }, 8)
    expect(soft.overshoot.max).toBeLessThan(0.025)
    expect(soft.share).toBeGreaterThan(0.98)
    const capped = await hot(limit, { mode: 'soft', sync: { interval: '1s', maxOvershoot: 0.05 } }, 8, true)
    expect(capped.share).toBeGreaterThan(0.975)
    expect(Math.max(capped.overshoot.first, capped.overshoot.max)).toBeLessThanOrEqual(0.05)
  },
)

test.each([100, 1000])(
  'leased quota that is not spent when a sliding window ends is little, at an interval of %i ms',
  async (interval) => {
    const limit = slidingWindow({ limit: 1000, window: '1s' })
    const report = await hot(limit, { mode: 'leased', sync: { interval } }, 12, true)
    expect(report.overshoot.cost).toBe(0)
    expect(report.share).toBeGreaterThan(0.975)
    expect(report.entriesPerCheck).toBeLessThan(0.1)
  },
)

test('a soft node denies nothing between counting on its share and having quota booked', async () => {
  const limit = fixedWindow({ limit: 1000, window: '1s' })
  const { falseDenials } = await hot(limit, { mode: 'soft', sync: { interval: 100 } }, 12, false, 900)
  expect(falseDenials).toBeLessThan(0.001)
})

test.each(['fixed window', 'sliding window'])(
  'soft nodes that begin together refuse nothing of a limit that nobody comes near: %s',
  async (name) => {
    const make = name === 'fixed window' ? fixedWindow : slidingWindow
    const clock = new ManualClock(1_800_000_000_000)
    const store = memoryStore({ clock })
    const limit = make({ limit: 1_000_000, window: '1h' })
    const nodes = Array.from({ length: 4 }, (_, place) =>
      createLimiter({ name: 'api', mode: 'soft', limit, store, clock, random: seededRandom(1, place) }),
    )
    const random = seededRandom(2)
    let refused = 0
    for (let time = 0; time < 1000; time++) {
      for (let check = 0; check < 16; check++) {
        const node = nodes[Math.floor(random() * nodes.length)] as (typeof nodes)[0]
        if (!node.checkSync(`key ${Math.floor(random() * 1000)}`).allowed) refused++
      }
      await clock.advance(1)
    }
    expect(refused).toBe(0)
    for (const node of nodes) await node.close()
  },
)

test('what is asked of the store is whole', async () => {
  const clock = new ManualClock(1_000_000)
  const inner = memoryStore({ clock })
  const asks: number[] = []
  const store: Store = {
    open(...call) {
      const table = inner.open(...call)
      return Object.assign(Object.create(table), {
        exchange: (request: Parameters<typeof table.exchange>[0]) => {
          for (const operation of request.operations) {
            const ask = operation[0] === 'settle' ? operation[6] : undefined
            // the share, its second number, is a part
            if (ask) asks.push(ask[0], ask[2], ask[3])
          }
          return table.exchange(request)
        },
      })
    },
    close: () => inner.close(),
  }
  const limit = slidingLog({ limit: 20, window: '1s' })
  const nodes = [0, 1].map(() =>
    createLimiter({
      name: 'api',
      limit,
      mode: 'soft',
      sync: { interval: 100, maxOvershoot: 0.2 },
      store,
      clock,
    }),
  )
  for (let time = 0; time < 3000; time += 10) {
    for (const node of nodes) node.checkSync('key')
    await clock.advance(10)
  }
  expect(asks.length).toBeGreaterThan(100)
  expect(asks.filter((number) => !Number.isInteger(number))).toEqual([])
  for (const node of nodes) await node.close()
})

test.each(['soft', 'leased'] as const)(
  '%s: a key of which nothing is left is not asked about until its window ends',
  async (mode) => {
    const clock = new ManualClock(1_800_000_000_000)
    const store = memoryStore({ clock })
    const limit = fixedWindow({ limit: 20, window: '1h' })
    const nodes = [0, 1].map(() =>
      createLimiter({ name: 'api', limit, mode, sync: { interval: 100 }, store, clock }),
    )
    const offer = async (checks: number) => {
      for (let check = 0; check < checks; check++) {
        for (const node of nodes) node.checkSync('key')
        await clock.advance(10)
      }
      return nodes.map((node) => node.stats().storeEntries)
    }
    const before = await offer(200)
    expect(nodes.reduce((sum, node) => sum + node.stats().admitted, 0)).toBe(20)
    expect(await offer(200)).toEqual(before)
    for (const node of nodes) await node.close()
  },
)

test('what a node has booked and is no longer asked for goes back within the window, however long the interval', async () => {
  const limit = fixedWindow({ limit: 1000, window: '1s' })
  const simulation = new Simulation({ seed: 1, network: { latency: 0.5 } })
  for (let node = 0; node < NODES; node++)
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({
          ...{ name: 'api', limit, maxKeys: 64, mode: 'leased', sync: { interval: '1s' } },
          ...surroundings,
        }),
    })
  // Nine of ten checks go to one node, another one each 0.7 windows.
  const nodes = (time: number, random: () => number) =>
    random() < 0.9 ? Math.floor(time / 700) % NODES : Math.floor(random() * NODES)
  await simulation.run(8000, new PoissonTraffic({ random: seededRandom(1, 2), rate: 2000, nodes }))
  const { share, overshoot } = simulation.report(limit)
  expect(share).toBeGreaterThan(0.9)
  expect(overshoot.cost).toBeLessThanOrEqual(0)
})
