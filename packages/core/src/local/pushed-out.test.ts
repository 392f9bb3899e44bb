import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, slidingWindow } from '../index.ts'
import { faultyStore, ManualClock, seededRandom } from '../testing.ts'

const LIMIT = 1000

it.each([
  ['fixed window', fixedWindow({ limit: LIMIT, window: '1h' })],
  ['sliding window', slidingWindow({ limit: LIMIT, window: '1h' })],
])(
  'soft: a key that is pushed out again and again is refused no sooner than its limit says, and not late: %s',
  async (_, limit) => {
    const random = seededRandom(1)
    const clock = new ManualClock(1_000_000)
    const store = faultyStore(memoryStore({ clock }), { clock, latency: 10 })
    const made = { name: 'api', mode: 'soft', limit, store, clock, random } as const
    const nodes = [createLimiter({ ...made, maxKeys: 20 }), createLimiter(made)] as const
    let used = 0
    let others = 0
    let early = 0
    for (let step = 0; step < 300; step++) {
      await clock.advance(5)
      for (const node of nodes) {
        if (node.checkSync('key').allowed) used++
        else if (used < 0.9 * LIMIT) early++
      }
      if (random() < 0.2) for (let n = 0; n < 60; n++) nodes[0].checkSync(`other-${others++}`)
    }
    expect(early).toBe(0)
    for (let step = 0; step < 500; step++) {
      await clock.advance(5)
      for (const node of nodes) if (node.checkSync('key').allowed) used++
      if (random() < 0.2) for (let n = 0; n < 60; n++) nodes[0].checkSync(`other-${others++}`)
    }
    expect(used).toBeGreaterThanOrEqual(LIMIT)
    // What one of them takes in an interval, a fifth of that and a round trip.
    expect(used).toBeLessThanOrEqual(LIMIT + 205)
    await Promise.all([...nodes.map((node) => node.close()), clock.advance(5000)])
  },
)
