import { describe, expect, it } from 'vitest'
import type { Tally } from './replay.ts'
import { summarise } from './result.ts'

const tally = (admitted: Record<string, number>, offered: number, latencies: number[]): Tally => ({
  offered,
  admitted: new Map(Object.entries(admitted)),
  latencies,
  storeCalls: 3,
  storeEntries: 5,
})

describe('summarise', () => {
  it('adds up the nodes and finds the key that went furthest beyond the limit', () => {
    const rows = summarise('soft', { per: 'client', limit: 10 }, [
      tally({ a: 6, b: 10, c: 1 }, 40, [1, 2, 3]),
      tally({ a: 7, c: 2 }, 60, [4, 5]),
    ])
    expect(rows).toEqual({
      mode: 'soft',
      per: 'client',
      offered: 100,
      admitted: 26,
      limit: 10,
      overshoot: 3,
      overshootShare: 0.3,
      storeCalls: 6,
      storeEntries: 10,
      storeCallsPerCheck: 0.06,
      storeEntriesPerCheck: 0.1,
      p50Ms: 3,
      p99Ms: 5,
    })
  })

  it('knows no overshoot where nobody reached the limit', () => {
    expect(summarise('hard', { per: 'site', limit: 10 }, [tally({ a: 6 }, 6, [1])]).overshoot).toBe(0)
  })

  it('takes percentiles by nearest rank', () => {
    const latencies = Array.from({ length: 200 }, (_, index) => 200 - index)
    expect(summarise('hard', { per: 'site', limit: 10 }, [tally({}, 200, latencies)])).toMatchObject({
      p50Ms: 100,
      p99Ms: 198,
    })
  })
})
