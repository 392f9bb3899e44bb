import type { SharedLimit } from './limits.ts'
import type { Mode, Tally } from './replay.ts'

/** The result of one limit in one mode, over all nodes. */
export interface Row {
  mode: Mode
  per: SharedLimit['per']
  offered: number
  admitted: number
  limit: number
  /** The most that any one key was admitted beyond the limit. */
  overshoot: number
  /** The same as a share of the limit. */
  overshootShare: number
  storeCalls: number
  storeEntries: number
  storeCallsPerCheck: number
  storeEntriesPerCheck: number
  p50Ms: number
  p99Ms: number
}

/** Adds up what the nodes saw of one limit. */
export function summarise(mode: Mode, { per, limit }: SharedLimit, tallies: readonly Tally[]): Row {
  const admitted = admittedByKey(tallies)
  const overshoot = Math.max(0, ...[...admitted.values()].map((count) => count - limit))
  const offered = sum(tallies.map((tally) => tally.offered))
  const storeCalls = sum(tallies.map((tally) => tally.storeCalls))
  const storeEntries = sum(tallies.map((tally) => tally.storeEntries))
  const latencies = Float64Array.from(tallies.flatMap((tally) => tally.latencies)).sort()
  return {
    mode,
    per,
    offered,
    admitted: sum([...admitted.values()]),
    limit,
    overshoot,
    overshootShare: overshoot / limit,
    storeCalls,
    storeEntries,
    storeCallsPerCheck: storeCalls / offered,
    storeEntriesPerCheck: storeEntries / offered,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  }
}

function admittedByKey(tallies: readonly Tally[]): Map<string, number> {
  const total = new Map<string, number>()
  for (const { admitted } of tallies) {
    for (const [key, count] of admitted) total.set(key, (total.get(key) ?? 0) + count)
  }
  return total
}

/** The smallest value that at least `share` of the sorted values do not exceed. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.ceil(sorted.length * share) - 1]!
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
