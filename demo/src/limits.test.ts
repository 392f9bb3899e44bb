import { describe, expect, it } from 'vitest'
import { limitsFor } from './limits.ts'

const requests = (counts: Record<string, number>) =>
  Object.entries(counts).flatMap(([client, count]) =>
    Array.from({ length: count }, () => ({ at: 0, client })),
  )

describe('limitsFor', () => {
  it('refuses at least a quarter of the requests by client, and half of them by site', () => {
    // A limit of 30 refuses 50 + 10 = 60 of 240; one of 31 would refuse 58.
    expect(limitsFor(requests({ busy: 80, brisk: 40, ...numbered(120) }))).toEqual([
      { per: 'client', limit: 30 },
      { per: 'site', limit: 120 },
    ])
  })

  it('never goes below 1', () => {
    expect(limitsFor(requests({ a: 1, b: 1, c: 1 }))).toEqual([
      { per: 'client', limit: 1 },
      { per: 'site', limit: 2 },
    ])
  })
})

function numbered(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`client ${index}`, 1]))
}
