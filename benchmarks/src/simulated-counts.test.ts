import { createLimiter, fixedWindow } from '@spillway/core'
import { Simulation } from '@spillway/core/testing'
import { expect, it } from 'vitest'
import { expectCounted } from './simulated-counts.ts'

const limit = fixedWindow({ limit: 1000, window: '1h' })

/** Two soft nodes that are asked for two keys, three times and twice each. */
async function asked() {
  const simulation = new Simulation({ seed: 1 })
  for (let node = 0; node < 2; node++)
    simulation.addNode({ limiter: (its) => createLimiter({ name: 'bench', limit, mode: 'soft', ...its }) })
  for (const node of simulation.nodes) {
    for (const key of ['a', 'a', 'a', 'b', 'b']) node.check(key)
    await simulation.run(100)
  }
  return simulation
}

it('what the nodes of a simulation admitted is counted by their store once they have ended', async () => {
  await expectCounted(await asked(), limit, ['a', 'b'], Uint32Array.of(6, 4))
})

it.each([
  ['less', Uint32Array.of(6, 5)],
  ['more', Uint32Array.of(5, 4)],
])('a store that counted %s fails', async (_, counts) => {
  await expect(expectCounted(await asked(), limit, ['a', 'b'], counts)).rejects.toThrow('remain after')
})
