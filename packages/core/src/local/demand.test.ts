import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Demand } from './demand.ts'

const MEMORY = 7500

/** A node that is asked for small costs, and in one interval for large ones that are more than what is left. */
function asked(small: readonly number[], large: number, at: number, waits: boolean, share: number): Demand {
  const demand = new Demand(0)
  small.forEach((cost, place) => {
    const offered = place === at ? cost + large : cost
    const oversized = place === (waits ? at + 1 : at) ? large : 0
    expect(oversized).toBeLessThanOrEqual(offered + demand.lately)
    demand.look(offered, oversized, share * oversized, 1000 * (place + 1), MEMORY)
    expect(demand.sent).toBeGreaterThanOrEqual(0)
  })
  return demand
}

it('large checks that waited, and were refused by the answer, are demand no more than those that were refused at once', () => {
  const history = fc.record({
    small: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 4, maxLength: 20 }),
    large: fc.integer({ min: 101, max: 5000 }),
    at: fc.nat(2),
    share: fc.constantFrom(0, 0.001, 0.5, 1),
  })
  fc.assert(
    fc.property(history, ({ small, large, at, share }) => {
      const waited = asked(small, large, at, true, share)
      const atOnce = asked(small, large, at, false, share)
      expect(waited.own).toBeCloseTo(atOnce.own, 9)
      expect(waited.fitting).toBeCloseTo(atOnce.fitting, 9)
      expect(waited.own).toBeGreaterThan(0)
      expect(waited.whole).toBeCloseTo(atOnce.whole, 9)
    }),
  )
})

it('what was offered since the last look fits, whatever is refused of what was offered before', () => {
  const demand = new Demand(0)
  demand.look(4500, 0, 0, 1000, MEMORY)
  expect(demand.fits(50, 4500)).toBe(50)
  expect(demand.fits(4550, 4500)).toBe(50)
})
