import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, type Limit, memoryStore } from '../index.ts'
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
  let isSilent = false
  const store = farStore(memoryStore({ clock }), (table, request) =>
    isSilent ? new Promise(() => {}) : table.exchange(request),
  )
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

/** Four nodes whose windows of 10 s are asked for more than they have, so that none has anything left when the next one begins. */
function rushed(limit: Limit, mode: 'soft' | 'leased' = 'soft') {
  const clock = new ManualClock(1_000_000_000)
  const store = memoryStore({ clock })
  const random = seededRandom(1)
  const make = () => createLimiter({ name: 'api', limit, mode, store, clock, random })
  const nodes = [make(), make(), make(), make()] as const
  const nextWindow = () => clock.advance(10_000 - (clock.wall() % 10_000))
  const rush = async () => {
    for (let check = 0; check < 2 * limit.limit + 8; check++) {
      await nodes[Math.floor(random() * nodes.length)]?.check('a')
      await clock.advance(20)
    }
    await nextWindow()
  }
  const close = () => Promise.all(nodes.map((node) => node.close()))
  return { clock, nodes, rush, nextWindow, close }
}

it.each([
  ['peek', 1],
  ['peek', 5],
  ['refund', 2],
  ['reset', 2],
] as const)(
  'soft: after a %s in a window of which nothing is taken, a check is not refused',
  async (verb, most) => {
    const { nodes, rush, close } = rushed(fixedWindow({ limit: most, window: '10s' }))
    const [node, other] = nodes
    let refused = 0
    for (let turn = 0; turn < 20; turn++) {
      await rush()
      if (verb === 'peek') expect(await node.peek('a')).toMatchObject({ allowed: true })
      else if (verb === 'refund') await node.refund('a', 1)
      else await other.reset('a')
      if (!(await node.check('a')).allowed) refused++
    }
    expect(refused).toBe(0)
    await close()
  },
)

it('soft: of a window of two, one of four nodes may take both', async () => {
  const { nodes, rush, close } = rushed(fixedWindow({ limit: 2, window: '10s' }))
  const [node] = nodes
  // By then each has heard of all.
  await rush()
  for (let turn = 0; turn < 10; turn++) {
    await rush()
    expect(await node.check('a')).toMatchObject({ allowed: true })
    expect(await node.check('a')).toMatchObject({ allowed: true })
    expect(await node.check('a')).toMatchObject({ allowed: false })
  }
  await close()
})

it.each(['soft', 'leased'] as const)(
  '%s: who asks `checkSync`, and `check` where only the store could say, is booked one',
  async (mode) => {
    const { clock, nodes, nextWindow, rush, close } = rushed(fixedWindow({ limit: 2, window: '10s' }), mode)
    await rush()
    let refused = 0
    for (let turn = 0; turn < 20; turn++) {
      for (const node of [nodes[turn % 4], nodes[(turn + 1) % 4]]) {
        const decision = node?.checkSync('a')
        const answer = decision?.reason === 'sync' ? await node?.check('a') : decision
        if (!answer?.allowed) refused++
        await clock.advance(50)
      }
      await nextWindow()
    }
    expect(refused).toBe(0)
    await close()
  },
)

it.each(['soft', 'leased'] as const)('%s: what one limit refuses is booked of no other', async (mode) => {
  const clock = new ManualClock(1_000_000_000)
  const store = memoryStore({ clock })
  const scopes = {
    user: fixedWindow({ limit: 3, window: '1h' }),
    ip: fixedWindow({ limit: 1, window: '10s' }),
  }
  const make = () => createLimiter({ name: 'api', scopes, mode, store, clock, random: () => 0.5 })
  const [node, other] = [make(), make()]
  for (let check = 0; check < 12; check++) {
    await [node, other][check % 2]?.check({ user: 'x', ip: `${check}` })
    await clock.advance(20)
  }
  for (let turn = 0; turn < 6; turn++) {
    await clock.advance(10_000 - (clock.wall() % 10_000))
    // Who has used up its own limit takes nothing of what it shares with others.
    if (turn > 1) expect(other.checkSync({ user: 'x', ip: '1' })).toMatchObject({ allowed: false })
    await clock.advance(30)
    expect(await node.check({ user: `${turn}`, ip: '1' })).toMatchObject({ allowed: true })
    if (turn < 2) expect(await other.check({ user: `${turn}`, ip: '1' })).toMatchObject({ allowed: false })
  }
  await Promise.all([node.close(), other.close()])
})
