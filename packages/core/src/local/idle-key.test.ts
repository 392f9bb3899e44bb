import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

const limit = fixedWindow({ limit: 1000, window: '1h' })

/** What a node is told of a key that two nodes have used a little, and that nobody asked for in the last `idle` ms. */
async function toldAfter(idle: number) {
  const clock = new ManualClock(1_000_000)
  const store = faultyStore(memoryStore({ clock }), { clock, latency: 20 })
  const nodes = [1, 2].map(() =>
    createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random: () => 0.5 }),
  )
  for (let turn = 0; turn < 12; turn++) {
    for (const node of nodes) node.checkSync('key')
    await clock.advance(100)
  }
  await clock.advance(idle)
  const told = nodes.map((node) => node.checkSync('key'))
  await Promise.all([...nodes.map((node) => node.close()), clock.advance(2000)])
  return told
}

it('a key that was idle is not refused while the store is told that its quota is not needed', async () => {
  for (let idle = 0; idle < 2000; idle += 10) {
    for (const decision of await toldAfter(idle))
      expect(decision, `${idle} ms`).toMatchObject({ allowed: true })
  }
}, 120_000)
