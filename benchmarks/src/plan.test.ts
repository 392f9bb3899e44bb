import { expect, it } from 'vitest'
import { costOfSharing } from './plan.ts'
import { CPU, SHARED_BY, sharedBy } from './questions/redis-cost.ts'

const costs = (costOf: (nodes: number) => number) =>
  Object.fromEntries(SHARED_BY.map((nodes) => [sharedBy(nodes), [{ [CPU]: costOf(nodes) }]]))

it('reckons what it costs to share a key from the measured numbers of nodes', () => {
  const linear = costs((nodes) => 5 + nodes / 4)
  for (const nodes of [1, 2, 8, 30, 64, 100, 512, 1000])
    expect(costOfSharing(linear, nodes)).toBeCloseTo((nodes - 1) / 4)
  const dear = costs((nodes) => (nodes === 512 ? 96.8 : 7))
  expect(costOfSharing(dear, 60)).toBe(0)
  expect(costOfSharing(dear, 64 + 448 / 2)).toBeCloseTo(89.8 / 2)
  expect(costOfSharing(dear, 960)).toBeCloseTo(2 * 89.8)
})
