import { expect, it } from 'vitest'
import { createLimiter, fixedWindow } from '../index.ts'
import { PoissonTraffic, Simulation, seededRandom } from '../testing.ts'

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
  const { overshoot } = simulation.report(limit)
  // Each begins not knowing of the others: what they are told before they admit is what keeps them to it.
  expect(overshoot.mean).toBeLessThan(0.5)
})
