import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Demand } from './demand.ts'

const MEMORY = 7500

/** A look: how long after the one before, in milliseconds, and the small cost that was offered in between. */
type Look = readonly [elapsed: number, small: number]

const LOOK = fc.tuple(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 100 }))

/** A node that is asked for small costs and, before one of the looks, for large ones that are more than what is left. */
function asked(looks: readonly Look[], large: number, at: number, waits: boolean, part: number): Demand {
  const demand = new Demand(0)
  let now = 0
  looks.forEach(([elapsed, small], place) => {
    now += elapsed
    const oversized = place === (waits ? at + 1 : at) ? large : 0
    demand.look(small + (place === at ? large : 0), oversized, part * oversized, now, MEMORY)
    expect(demand.sent).toBeGreaterThanOrEqual(0)
  })
  return demand
}

it('large checks that waited, and were refused by the answer, are demand just as those that were refused at once', () => {
  const history = fc.record({
    looks: fc.array(LOOK, { minLength: 5, maxLength: 20 }),
    large: fc.integer({ min: 101, max: 5000 }),
    at: fc.nat(3),
    part: fc.constantFrom(0, 0.001, 0.5, 1),
  })
  fc.assert(
    fc.property(history, ({ looks, large, at, part }) => {
      const waited = asked(looks, large, at, true, part)
      const atOnce = asked(looks, large, at, false, part)
      expect(waited.own).toBeCloseTo(atOnce.own, 9)
      expect(waited.fitting).toBeCloseTo(atOnce.fitting, 9)
      expect(waited.whole).toBeCloseTo(atOnce.whole, 9)
      expect(waited.own).toBeGreaterThan(0)
      expect(waited.fitting).toBeGreaterThan(0)
    }),
  )
})
