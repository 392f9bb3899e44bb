import { LIMIT } from './limits.ts'

/** A request to a gateway; its time in milliseconds. */
export interface Asked {
  readonly at: number
  /** The gateway's process: one that was started again is another node. */
  readonly node: string
}

/**
 * The most that soft mode can let through: the limit plus, for each node but the one with the smallest term, the most
 * it was asked in any stretch of `stalenessMs`, capped at the limit (`docs/choosing.md`).
 */
export function softBound(asked: readonly Asked[], stalenessMs: number): number {
  const nodes = new Set(asked.map(({ node }) => node))
  const terms = [...nodes].map((name) => {
    const own = asked.filter(({ node }) => node === name)
    return Math.min(LIMIT.limit, most(own, stalenessMs))
  })
  return LIMIT.limit + terms.reduce((sum, term) => sum + term, 0) - Math.min(...terms)
}

function most(asked: readonly Asked[], stretch: number): number {
  const times = asked.map(({ at }) => at).sort((one, other) => one - other)
  let count = 0
  for (let first = 0, last = 0; last < times.length; last++) {
    while ((times[last] as number) - (times[first] as number) > stretch) first++
    count = Math.max(count, last - first + 1)
  }
  return count
}
