import { readFile } from 'node:fs/promises'
import type { Request, Trace } from './trace.ts'

/** The trace that ships with the demo, made by `derive-trace.ts`. */
export const shippedTraceUrl = new URL('../trace/requests.csv', import.meta.url)

const header = 'gap,client'

/**
 * A trace as CSV: a line per request, with the seconds since the request before it and the number of its
 * client. Clients are numbered in the order in which they appear, so that no address is left.
 */
export function encodeTrace(requests: readonly Request[]): string {
  const numbers = new Map<string, number>()
  let before = 0
  const lines = requests.map(({ at, client }) => {
    if (!numbers.has(client)) numbers.set(client, numbers.size + 1)
    const gap = at - before
    before = at
    return `${gap},${numbers.get(client)}`
  })
  return `${[header, ...lines].join('\n')}\n`
}

/** The requests of a trace that `encodeTrace` wrote, its clients now called by their numbers. */
export function decodeTrace(csv: string): Request[] {
  let at = 0
  return csv
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [gap, client] = line.split(',') as [string, string]
      at += Number(gap)
      return { at, client }
    })
}

export async function readShippedTrace(): Promise<Trace> {
  const requests = decodeTrace(await readFile(shippedTraceUrl, 'utf8'))
  return { source: 'the trace that ships with the demo', requests, skipped: 0, cutShort: false }
}
