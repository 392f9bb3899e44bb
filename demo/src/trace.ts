/** One request of the real site: when it came, and from whom. */
export interface Request {
  /** Seconds since the first request of the trace. */
  at: number
  client: string
}

/** What is replayed: requests in order of time. */
export interface Trace {
  /** Where it came from, for the reader of the result. */
  source: string
  requests: readonly Request[]
  /** Lines of the log that did not parse. */
  skipped: number
  /** Whether the log held more requests than the demo replays. */
  cutShort: boolean
}

/** How many requests each client sent. */
export function requestsByClient(requests: readonly Request[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { client } of requests) counts.set(client, (counts.get(client) ?? 0) + 1)
  return counts
}
