import { expect, it } from 'vitest'
import { LOCAL } from '../../test/modes.ts'
import { demandIn, slowFarStore } from '../../test/slow-store.ts'
import { createLimiter, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

const LIMIT = slidingWindow({ limit: 1000, window: '1m' })

/** What nodes tell the store that they are asked for; at times they have heard nothing for two windows, and must ask. */
async function told(mode: keyof typeof LOCAL, limits: number, syncFirst: boolean): Promise<number[]> {
  const clock = new ManualClock(1_000_020_000)
  const told: number[] = []
  const store = slowFarStore(clock, 2, 0, memoryStore({ clock }), (operations) =>
    told.push(...demandIn(operations)),
  )
  const limit = limits === 1 ? LIMIT : [LIMIT, slidingWindow({ limit: 20_000, window: '20m' })]
  const settings = { name: 'api', limit, clock, store, ...LOCAL[mode] }
  const nodes = [1, 2].map((seed) => createLimiter({ ...settings, random: seededRandom(seed) }))
  for (let round = 0; round < 20; round++) {
    for (const node of nodes) {
      const cost = 1 + round
      // A soft node would admit at once what it has not heard of.
      if (round > 0 && syncFirst && node.checkSync('a', { cost }).reason !== 'sync') continue
      void node.check('a', { cost })
    }
    await clock.advance(round % 5 === 0 ? 130_000 : 100)
  }
  const closing = Promise.all(nodes.map((node) => node.close()))
  await clock.advance(1000)
  await closing
  return told
}

it.each(
  (['soft', 'capped', 'leased'] as const).flatMap((mode) => [1, 2].map((limits) => [mode, limits] as const)),
)(
  '%s, limits: %i: what `checkSync` could not say, and `check` then does, is demand once',
  async (mode, limits) => {
    const once = await told(mode, limits, false)
    expect(once.length).toBeGreaterThan(0)
    expect(await told(mode, limits, true)).toEqual(once)
  },
)
