import { expect, it } from 'vitest'
import { draws } from './keys.ts'
import { differentKeys, entriesOfCheck, nodesOfEntry } from './zipf.ts'

it.each([
  [10, 1],
  [10, 50],
  [3000, 200],
  [20_000, 5000],
])('of %i keys, reckons the different ones among %i checks', (keys, checks) => {
  let harmonic = 0
  for (let place = 1; place <= keys; place++) harmonic += 1 / place
  let exact = 0
  for (let place = 1; place <= keys; place++) exact += 1 - (1 - 1 / (place * harmonic)) ** checks
  expect(differentKeys(keys, checks) / exact).toBeCloseTo(1, 3)
})

it('reckons what is counted among drawn keys', () => {
  const [keys, before, interval] = [5000, 4000, 1000]
  let entries = 0
  const rounds = 50
  for (let seed = 1; seed <= rounds; seed++) {
    const drawn = draws('zipf', keys, before + interval, seed)
    const seen = new Set(drawn.slice(0, before))
    const asked = new Set(drawn.slice(before))
    entries += asked.size + [...asked].filter((key) => !seen.has(key)).length
  }
  expect(entries / rounds / interval / entriesOfCheck(keys, before, interval)).toBeCloseTo(1, 1)
})

it('reckons how many nodes have settled the keys of the entries that a node sends, reads as well', () => {
  const [keys, nodes, before, interval] = [500, 20, 300, 100]
  let entries = 0
  let met = 0
  for (let seed = 1; seed <= 20; seed++) {
    const seenBy = Array.from(
      { length: nodes },
      (_, node) => new Set(draws('zipf', keys, before, seed * nodes + node)),
    )
    for (const key of new Set(draws('zipf', keys, interval, 10_000 + seed))) {
      const sent = seenBy[0]?.has(key) ? 1 : 2
      entries += sent
      met += sent * seenBy.filter((seen) => seen.has(key)).length
    }
  }
  expect(entries / 20 / interval / entriesOfCheck(keys, before, interval)).toBeCloseTo(1, 1)
  expect(met / entries / nodesOfEntry(keys, nodes, before, interval)).toBeCloseTo(1, 1)
})
