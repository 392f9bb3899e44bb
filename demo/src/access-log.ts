import { createReadStream } from 'node:fs'
import { UsageError } from '@spillway/command-line'
import type { Request, Trace } from './trace.ts'

/** A replay takes seconds, whatever the length of the log: beyond this many requests the rest is left out. */
const mostRequests = 20_000
/** No log line is longer; it keeps a file without line ends from filling the memory. */
const longestLine = 65_536
/** So many lines without a single request among them are not the start of an access log. */
const patience = 10_000

const quoted = '"(?:[^"\\\\]|\\\\.)*"'
/** Apache's combined format: host, identity, user, [time], "request", status, bytes, "referer", "agent". */
const combined = new RegExp(
  `^(?<client>\\S{1,255}) \\S+ .+? \\[(?<day>\\d{2})/(?<month>[A-Z][a-z]{2})/(?<year>\\d{4}):(?<time>\\d{2}:\\d{2}:\\d{2}) ` +
    `(?<zone>[+-]\\d{2})(?<zoneMinutes>\\d{2})\\] ${quoted} \\d{3} (?:\\d+|-) ${quoted} ${quoted}\\r?$`,
)
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** The request that a line of the log records, its time in seconds since 1970; undefined if it does not parse. */
export function parseLine(line: string): Request | undefined {
  const part = combined.exec(line)?.groups
  if (!part) return undefined
  const month = String(months.indexOf(part.month!) + 1).padStart(2, '0')
  const time = Date.parse(`${part.year}-${month}-${part.day}T${part.time}${part.zone}:${part.zoneMinutes}`)
  return Number.isNaN(time) ? undefined : { at: time / 1000, client: part.client! }
}

/**
 * Reads an access log as it is: a line that does not parse is skipped and counted, requests are put in order
 * of time, those of one second left in the order of the file.
 * Throws `UsageError` if the file cannot be read or holds no request.
 */
export async function readAccessLog(path: string): Promise<Trace> {
  const found: Request[] = []
  let skipped = 0
  let cutShort = false
  for await (const line of linesOf(path)) {
    if (found.length === mostRequests) {
      cutShort = true
      break
    }
    const request = parseLine(line)
    if (request) found.push(request)
    else skipped++
    if (found.length === 0 && skipped === patience) break
  }
  if (found.length === 0)
    throw new UsageError(`${path} is not an access log: no line of it is in Apache's combined format`)
  found.sort((one, other) => one.at - other.at)
  const first = found[0]!.at
  const requests = found.map(({ at, client }) => ({ at: at - first, client }))
  return { source: path, requests, skipped, cutShort }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunksOf(path)) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    yield* lines
    if (rest.length > longestLine) {
      yield rest
      rest = ''
    }
  }
  if (rest !== '') yield rest
}

async function* chunksOf(path: string): AsyncGenerator<string> {
  try {
    yield* createReadStream(path, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
