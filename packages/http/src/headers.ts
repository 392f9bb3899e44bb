import type { Clock } from '@spillway/core'
import type { Standing } from './standing.ts'

/**
 * How the headers tell a client where it stands. `draft-11`: `RateLimit-Policy` and `RateLimit` as in drafts 8 to 11
 * of the IETF. `draft-7`: one `RateLimit` of three values. `draft-6`: `RateLimit-Limit`, `-Remaining`, `-Reset`.
 * `legacy`: the same with `X-` before them, its reset as a Unix time.
 */
export type HeaderStyle = 'draft-11' | 'draft-7' | 'draft-6' | 'legacy'

export const HEADER_STYLES: readonly HeaderStyle[] = ['draft-11', 'draft-7', 'draft-6', 'legacy']

/** A response's headers, as its framework keeps them. Names are in lower case, as HTTP/2 has them. */
export interface ResponseHeaders {
  get(name: string): string | undefined
  set(name: string, value: string): void
}

/**
 * Writes how the client stands. Where another limit has written before, both are told in the styles that hold a list;
 * in the others the one with less remaining stays.
 */
export function writeHeaders(
  styles: readonly HeaderStyle[],
  standings: readonly Standing[],
  headers: ResponseHeaders,
  clock: Pick<Clock, 'wall'>,
): void {
  for (const style of styles) WRITERS[style](standings, headers, clock)
}

type Writer = (standings: readonly Standing[], headers: ResponseHeaders, clock: Pick<Clock, 'wall'>) => void

const WRITERS: Record<HeaderStyle, Writer> = {
  'draft-11'(standings, headers) {
    let policies = headers.get('ratelimit-policy')
    let limits = policies === undefined ? undefined : headers.get('ratelimit')
    for (const standing of standings) {
      policies = joined(policies, policyOf(standing))
      limits = joined(limits, remainsOf(standing))
    }
    if (policies !== undefined) headers.set('ratelimit-policy', policies)
    if (limits !== undefined) headers.set('ratelimit', limits)
  },

  'draft-7'(standings, headers) {
    const { limit, window, remaining, resetAfter } = tightest(standings)
    if (told(headers, 'ratelimit', /remaining=(\d+)/) <= remaining) return
    headers.set('ratelimit-policy', `${limit};w=${window}`)
    headers.set('ratelimit', `limit=${limit}, remaining=${remaining}, reset=${resetAfter}`)
  },

  'draft-6'(standings, headers) {
    separately(standings, headers, 'ratelimit-', ({ resetAfter }) => resetAfter)
  },

  legacy(standings, headers, clock) {
    const unixTime = ({ resetAfter }: Standing) => Math.ceil(clock.wall() / 1000) + resetAfter
    separately(standings, headers, 'x-ratelimit-', unixTime)
  },
}

function separately(
  standings: readonly Standing[],
  headers: ResponseHeaders,
  prefix: string,
  reset: (standing: Standing) => number,
): void {
  const standing = tightest(standings)
  if (told(headers, `${prefix}remaining`, /^(\d+)$/) <= standing.remaining) return
  headers.set(`${prefix}limit`, String(standing.limit))
  headers.set(`${prefix}remaining`, String(standing.remaining))
  headers.set(`${prefix}reset`, String(reset(standing)))
}

/** Policies as they were told last, by their limits' names: they hardly ever change. */
const POLICIES = new Map<string, { limit: number; window: number; text: string }>()
const MOST_POLICIES = 1000

/** A name is letters, digits and _ - . : / and needs no escape in a structured field's string. */
function policyOf({ name, limit, window }: Standing): string {
  const last = POLICIES.get(name)
  if (last !== undefined && last.limit === limit && last.window === window) return last.text
  const text = `"${name}";q=${limit};w=${window}`
  if (POLICIES.size >= MOST_POLICIES) POLICIES.clear()
  POLICIES.set(name, { limit, window, text })
  return text
}

function remainsOf({ name, remaining, moreAfter }: Standing): string {
  const reset = moreAfter === undefined ? '' : `;t=${moreAfter}`
  return `"${name}";r=${remaining}${reset}`
}

/** Puts a member into a list; one of the same name that is there already, which a list must not repeat, gives way. */
function joined(list: string | undefined, member: string): string {
  if (list === undefined) return member
  const named = member.slice(0, member.indexOf(';') + 1)
  const others = list.split(', ').filter((other) => !other.startsWith(named))
  return [...others, member].join(', ')
}

/** What another limit told to remain, `Infinity` where none did. */
function told(headers: ResponseHeaders, header: string, remaining: RegExp): number {
  const [, digits] = remaining.exec(headers.get(header) ?? '') ?? []
  return digits === undefined ? Infinity : Number(digits)
}

function tightest(standings: readonly Standing[]): Standing {
  return standings.reduce((least, standing) => (standing.remaining < least.remaining ? standing : least))
}
