import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, type Store } from '../index.ts'
import { ManualClock, PoissonTraffic, Simulation, seededRandom } from '../testing.ts'

it.each([
  [4, 60_000, 1000],
  [16, 60_000, 1000],
  [16, 1000, 100],
])('soft: of a fixed window of one, %i nodes do not admit one each', async (count, window, interval) => {
  const limit = fixedWindow({ limit: 1, window })
  const simulation = new Simulation({ seed: 7 })
  for (let node = 0; node < count; node++) {
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({ name: 'api', limit, mode: 'soft', sync: { interval }, ...surroundings }),
    })
  }
  const rate = 10_000 / window
  await simulation.run(20 * window, new PoissonTraffic({ random: seededRandom(3), rate, nodes: count }))
  const { overshoot, share, falseDenials } = simulation.report(limit)
  // What they are told before they admit keeps them to it, and a check waits for that rather than be refused.
  expect(overshoot.mean).toBe(0)
  expect(share).toBe(1)
  expect(falseDenials).toBeLessThan(0.005)
})

it.each([
  [4, 5, 60_000],
  [4, 20, 10_000],
])('soft: %i nodes refuse none of a new window of %i', async (count, most, window) => {
  const clock = new ManualClock(1_000_000_000)
  const store = memoryStore({ clock })
  const random = seededRandom(1)
  const limit = fixedWindow({ limit: most, window })
  const make = () => createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random })
  const nodes = Array.from({ length: count }, make)
  let refused = 0
  for (let turn = 0; turn < 20; turn++) {
    // More than the limit, so that little was left of the window when they asked last.
    for (let check = 0; check < 2 * most; check++) {
      const decision = await nodes[Math.floor(random() * count)]?.check('a')
      if (check < count && !decision?.allowed) refused++
      await clock.advance(20)
    }
    await clock.advance(window - (clock.wall() % window))
  }
  expect(refused).toBe(0)
  await Promise.all(nodes.map((node) => node.close()))
})

it('soft: a check that waits for a store that does not answer is decided by what the node knows', async () => {
  const clock = new ManualClock(1_000_000_000)
  const its = memoryStore({ clock })
  let isSilent = false
  const store: Store = {
    ...its,
    open: (name, limit) => {
      const table = its.open(name, limit)
      return Object.assign(Object.create(table), {
        exchange: (request: Parameters<typeof table.exchange>[0]) =>
          isSilent ? new Promise(() => {}) : table.exchange(request),
      })
    },
  }
  const limit = fixedWindow({ limit: 1, window: '10s' })
  const nodes = [0, 1].map(() => createLimiter({ name: 'api', limit, mode: 'soft', store, clock }))
  for (const node of nodes) await node.check('a')
  await clock.advance(2000)
  for (const node of nodes) await node.check('a')
  await clock.advance(10_000)
  isSilent = true
  const [node] = nodes
  expect(node?.checkSync('a')).toMatchObject({ allowed: false, reason: 'sync' })
  const asked = [node?.check('a'), node?.check('a')]
  await clock.advance(100)
  expect(await Promise.all(asked)).toMatchObject([{ allowed: true }, { allowed: false, reason: 'limit' }])
  isSilent = false
  await clock.advance(10_000)
  await Promise.all(nodes.map((node) => node.close()))
})
