import { expect, test } from 'vitest'
import { PoissonTraffic, seededRandom } from '../testing.ts'

/** The checks of the first ten seconds. */
function checks(options: Partial<ConstructorParameters<typeof PoissonTraffic>[0]>) {
  const traffic = new PoissonTraffic({ random: seededRandom(1), rate: 1000, nodes: 4, ...options })
  const all: { at: number; node: number; key: string; cost: number }[] = []
  for (; traffic.at < 10_000; traffic.next()) {
    const { at, node, key, cost } = traffic
    all.push({ at, node, key, cost })
  }
  return all
}

const part = <T>(all: T[], which: (check: T) => boolean) => all.filter(which).length / all.length

test('checks come at their rate, with gaps as those of independent users', () => {
  const all = checks({})
  expect(all.length / 10_000).toBeCloseTo(1, 1)
  const gaps = all.slice(1).map(({ at }, place) => at - (all[place]?.at as number))
  // of exponential gaps, 1 − 1/e are shorter than the mean
  expect(part(gaps, (gap) => gap < 1)).toBeCloseTo(1 - 1 / Math.E, 1)
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0)
})

test('a rate may change over time', () => {
  const all = checks({ rate: (time) => (time < 5000 ? 0 : 500), peak: 1000 })
  expect(part(all, ({ at }) => at < 5000)).toBe(0)
  expect(all.length / 2500).toBeCloseTo(1, 1)
  expect(() => checks({ rate: () => 1 })).toThrow('peak')
})

test('nodes are picked evenly, by weight, or by a function', () => {
  for (let node = 0; node < 4; node++)
    expect(part(checks({}), (check) => check.node === node)).toBeCloseTo(1 / 4, 1)
  const weighted = checks({ nodes: [6, 0, 3, 1] })
  for (const [node, weight] of [0.6, 0, 0.3, 0.1].entries())
    expect(part(weighted, (check) => check.node === node)).toBeCloseTo(weight, 1)
  expect(part(weighted, ({ node }) => node === 1)).toBe(0)
  expect(
    part(checks({ nodes: (time) => (time < 5000 ? 1 : 3) }), ({ at, node }) => node === (at < 5000 ? 1 : 3)),
  ).toBe(1)
})

test('keys and costs may be random', () => {
  const all = checks({
    key: (random) => (random() < 0.3 ? 'a' : 'b'),
    cost: (random) => 1 + Math.floor(2 * random()),
  })
  expect(part(all, ({ key }) => key === 'a')).toBeCloseTo(0.3, 1)
  expect(part(all, ({ cost }) => cost === 2)).toBeCloseTo(0.5, 1)
})
