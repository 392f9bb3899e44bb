import { expect, test } from 'vitest'
import { createLimiter, slidingLog } from '../index.ts'
import { Simulation } from '../testing.ts'

test('a node whose clock has fallen behind does not free what it took from a log before its time', async () => {
  const limit = slidingLog({ limit: 20, window: 1000 })
  const simulation = new Simulation()
  const node = () =>
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({ name: 'api', limit, mode: 'leased', sync: { interval: 100 }, ...surroundings }),
    })
  const [one, two] = [node(), node()]
  for (let time = 0; time < 100; time += 10) simulation.at(time, () => one.check('key'))
  // Suspended with quota at hand, which it spends before it hears the store's time again.
  simulation.at(100.5, () => one.pause(80, { suspended: true }))
  simulation.at(180.6, () => one.check('key'))
  for (let time = 900; time < 1400; time++) simulation.at(time, () => two.check('key'))
  await simulation.run(180.7)
  expect(one.limiter.stats()).toMatchObject({ admitted: 11 })
  await simulation.run(2000)
  expect(two.limiter.stats().admitted).toBeGreaterThan(10)
  expect(simulation.overshoot(limit)).toBe(0)
})
