import { type Request, requestsByClient } from './trace.ts'

/** One of the limits that the nodes share. Every request asks each of them, independently of the others. */
export interface SharedLimit {
  /** Whether it counts each client separately, or all of them together. */
  per: 'client' | 'site'
  limit: number
}

/** The key that a request is counted under. */
export function keyFor({ per }: SharedLimit, client: string): string {
  return per === 'client' ? client : 'everyone'
}

/** The share of the requests that a limit per client should refuse, so that it is seen to work. */
const refusedPerClient = 1 / 4
/** The same for the limit of the whole site. */
const refusedForSite = 1 / 2

/** Limits that bite on these requests: what they refuse is known beforehand, whatever their number. */
export function limitsFor(requests: readonly Request[]): SharedLimit[] {
  return [
    { per: 'client', limit: limitPerClient([...requestsByClient(requests).values()]) },
    { per: 'site', limit: Math.ceil(requests.length * (1 - refusedForSite)) },
  ]
}

/** The largest limit that refuses the wanted share, or 1 if none does. */
function limitPerClient(counts: readonly number[]): number {
  const wanted = counts.reduce((sum, count) => sum + count, 0) * refusedPerClient
  let limit = Math.max(...counts)
  let refused = 0
  while (limit > 1 && refused < wanted) {
    limit--
    // Lowering the limit by one refuses one more request of each client that sent more than that.
    refused += counts.filter((count) => count > limit).length
  }
  return limit
}
