import { expect, it } from 'vitest'
import { costOfShared, servers, spread } from './plan.ts'
import { CPU, SHARED_BY, sharedBy } from './questions/redis-cost.ts'

const costs = (costOf: (nodes: number) => number) =>
  Object.fromEntries(SHARED_BY.map((nodes) => [sharedBy(nodes), [{ [CPU]: costOf(nodes) }]]))

it('reckons what a settled entry costs from the measured numbers of nodes', () => {
  const linear = costs((nodes) => 5 + nodes / 4)
  for (const nodes of [1, 2, 8, 30, 64, 100, 512, 1000])
    expect(costOfShared(linear, nodes)).toBeCloseTo(5 + nodes / 4)
  const dear = costs((nodes) => (nodes === 512 ? 96.8 : 7))
  expect(costOfShared(dear, 60)).toBe(7)
  expect(costOfShared(dear, 64 + 448 / 2)).toBeCloseTo(7 + 89.8 / 2)
  expect(costOfShared(dear, 960)).toBeCloseTo(7 + 2 * 89.8)
})

it('has four shards for each busy CPU, with what the commands to more shards cost', () => {
  // Full commands suffice for 64 shards.
  expect(spread({ cpus: 10, commands: 100_000, command: 50, interval: 1 })).toEqual({
    shards: 64,
    commands: 100_000,
    cpus: 10,
  })
  // A command to each of 512 shards, from 1,000 nodes a second, takes 512,000 × 50 µs: 25.6 CPUs more.
  expect(spread({ cpus: 100, commands: 0, command: 50, interval: 1 })).toEqual({
    shards: 512,
    commands: 512_000,
    cpus: 125.6,
  })
  expect(spread({ cpus: 100, commands: 0, command: 50 })).toMatchObject({
    shards: 512,
    commands: 0,
    cpus: 100,
  })
  expect(() => spread({ cpus: 100, commands: 0, command: 500, interval: 1 })).toThrow('does not come out')
})

it('has servers for all busy CPUs, each half busy', () => {
  expect(servers(8.75)).toBe(18)
  expect(servers(413)).toBe(826)
})
