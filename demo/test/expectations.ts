import { expect } from 'vitest'
import type { Result } from '../src/demo.ts'
import { limitsFor } from '../src/limits.ts'
import { readShippedTrace } from '../src/shipped-trace.ts'
import { requestsByClient } from '../src/trace.ts'

/** Holds the result of replaying the shipped trace against what the limits must have let through. */
export async function expectTrueCounts(result: Result): Promise<void> {
  const { requests } = await readShippedTrace()
  const [perClient, perSite] = limitsFor(requests).map(({ limit }) => limit) as [number, number]
  const within = (limit: number, counts: Iterable<number>) =>
    [...counts].reduce((sum, count) => sum + Math.min(count, limit), 0)
  const allowed = [within(perClient, requestsByClient(requests).values()), within(perSite, [requests.length])]

  expect(result.rows.map(({ mode, per, limit }) => [mode, per, limit])).toEqual([
    ['hard', 'client', perClient],
    ['hard', 'site', perSite],
    ['soft', 'client', perClient],
    ['soft', 'site', perSite],
  ])
  for (const row of result.rows) {
    expect(row.offered).toBe(requests.length)
    expect(row.p99Ms).toBeGreaterThanOrEqual(row.p50Ms)
    expect(row.overshootShare).toBeCloseTo(row.overshoot / row.limit)
    expect(row.storeEntriesPerCheck).toBeCloseTo(row.storeEntries / row.offered)
    expect(row.storeCallsPerCheck).toBeCloseTo(row.storeCalls / row.offered)
    expect(row.storeCalls).toBeGreaterThan(0)
    expect(row.storeEntries).toBeGreaterThan(0)
  }
  const [hardClient, hardSite, softClient, softSite] = result.rows
  expect([hardClient!.admitted, hardSite!.admitted]).toEqual(allowed)
  expect([hardClient!.overshoot, hardSite!.overshoot]).toEqual([0, 0])
  // The site is one key: what was admitted beyond the limit is all that was admitted too much.
  expect(softSite!.overshoot).toBe(Math.max(0, softSite!.admitted - perSite))
  expect(softClient!.overshoot).toBeGreaterThanOrEqual(0)
}
