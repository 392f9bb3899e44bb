import { createLimiter, type Limit } from '@spillway/core'
import type { Simulation } from '@spillway/core/testing'
import { expectRemaining } from './measure.ts'

/** Milliseconds of the simulation in which all nodes settle what they owe. */
const SETTLED_MS = 5000
/** Milliseconds in which the store answers a check. */
const ANSWERED_MS = 20

/**
 * Ends all nodes of a simulation, and throws unless their store has counted what they were asked for.
 *
 * @param counts how often each key was asked for
 */
export async function expectCounted(
  simulation: Simulation,
  limit: Limit,
  names: readonly string[],
  counts: Uint32Array,
): Promise<void> {
  const closed = Promise.all(simulation.nodes.map(({ limiter }) => limiter.close()))
  await simulation.run(SETTLED_MS)
  await closed
  const { limiter } = simulation.addNode({
    limiter: (surroundings) => createLimiter({ name: 'bench', limit, ...surroundings }),
  })
  await expectRemaining(counts, limit.limit, async (place) => {
    const decided = limiter.check(names[place]!)
    await simulation.run(ANSWERED_MS)
    return (await decided).remaining
  })
}
