import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Request } from './trace.ts'

/** A request as scheduled for a node. */
export interface DueRequest {
  /** Milliseconds after the start of the replay. */
  due: number
  client: string
}

/** Longer silences of the log count as this many seconds: nights and idle hours would leave the nodes idle too. */
export const longestSilence = 60

export interface Schedule {
  /** What each node gets, in order of time. */
  shares: DueRequest[][]
  /** How many seconds of the log, its silences cut, pass in one second of the replay. */
  speed: number
}

/**
 * Squeezes a trace into `seconds` and deals it out, each request to a random node, as a load balancer would.
 * The same trace and seed give the same schedule.
 */
export function schedule(
  requests: readonly Request[],
  { nodes, seconds, seed }: { nodes: number; seconds: number; seed: number },
): Schedule {
  const times = withoutSilences(requests)
  const length = times.at(-1) ?? 0
  const speed = length / seconds
  const shares: DueRequest[][] = Array.from({ length: nodes }, () => [])
  const random = xoroshiro128plus(seed)
  for (const [index, { client }] of requests.entries()) {
    const due = length === 0 ? 0 : (times[index]! / speed) * 1000
    shares[uniformInt(random, 0, nodes - 1)]!.push({ due, client })
  }
  return { shares, speed }
}

function withoutSilences(requests: readonly Request[]): number[] {
  let at = 0
  return requests.map((request, index) => {
    const gap = index === 0 ? 0 : request.at - requests[index - 1]!.at
    at += Math.min(gap, longestSilence)
    return at
  })
}
