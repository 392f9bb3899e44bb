import type { Standing } from './standing.ts'

/**
 * How the headers tell a client where it stands. `draft-11`: `RateLimit-Policy` and `RateLimit` as in drafts 8 to 11
 * of the IETF. `draft-7`: one `RateLimit` of three values. `draft-6`: `RateLimit-Limit`, `-Remaining`, `-Reset`.
 * `legacy`: the same with `X-` before them, its reset as a Unix time.
 */
export type HeaderStyle = 'draft-11' | 'draft-7' | 'draft-6' | 'legacy'

export const HEADER_STYLES: readonly HeaderStyle[] = ['draft-11', 'draft-7', 'draft-6', 'legacy']

/** A response's headers, as its framework keeps them. */
export interface ResponseHeaders {
  get(name: string): string | undefined
  set(name: string, value: string): void
}

/**
 * Writes how the client stands. Where another limit has written before, both are told in the styles that hold a list;
 * in the others the one with less remaining stays.
 *
 * @param now milliseconds since the Unix epoch
 */
export function writeHeaders(
  styles: readonly HeaderStyle[],
  standings: readonly Standing[],
  headers: ResponseHeaders,
  now: () => number,
): void {
  for (const style of styles) WRITERS[style](standings, headers, now)
}

type Writer = (standings: readonly Standing[], headers: ResponseHeaders, now: () => number) => void

const WRITERS: Record<HeaderStyle, Writer> = {
  'draft-11'(standings, headers) {
    let policies = headers.get('RateLimit-Policy')
    let limits = policies === undefined ? undefined : headers.get('RateLimit')
    for (const { name, limit, window, remaining, moreAfter } of standings) {
      const reset = moreAfter === undefined ? '' : `;t=${moreAfter}`
      // A name is letters, digits and _ - . : / and needs no escape in a structured field's string.
      policies = joined(policies, `"${name}"`, `;q=${limit};w=${window}`)
      limits = joined(limits, `"${name}"`, `;r=${remaining}${reset}`)
    }
    if (policies !== undefined) headers.set('RateLimit-Policy', policies)
    if (limits !== undefined) headers.set('RateLimit', limits)
  },

  'draft-7'(standings, headers) {
    const { limit, window, remaining, resetAfter } = tightest(standings)
    if (told(headers, 'RateLimit', /remaining=(\d+)/) <= remaining) return
    headers.set('RateLimit-Policy', `${limit};w=${window}`)
    headers.set('RateLimit', `limit=${limit}, remaining=${remaining}, reset=${resetAfter}`)
  },

  'draft-6'(standings, headers) {
    separately(standings, headers, 'RateLimit-', ({ resetAfter }) => resetAfter)
  },

  legacy(standings, headers, now) {
    const unixTime = ({ resetAfter }: Standing) => Math.ceil(now() / 1000) + resetAfter
    separately(standings, headers, 'X-RateLimit-', unixTime)
  },
}

function separately(
  standings: readonly Standing[],
  headers: ResponseHeaders,
  prefix: string,
  reset: (standing: Standing) => number,
): void {
  const standing = tightest(standings)
  if (told(headers, `${prefix}Remaining`, /^(\d+)$/) <= standing.remaining) return
  headers.set(`${prefix}Limit`, String(standing.limit))
  headers.set(`${prefix}Remaining`, String(standing.remaining))
  headers.set(`${prefix}Reset`, String(reset(standing)))
}

/** Puts a member into a list; one of the same name that is there already, which a list must not repeat, gives way. */
function joined(list: string | undefined, item: string, parameters: string): string {
  if (list === undefined) return item + parameters
  const others = list.split(', ').filter((other) => !other.startsWith(`${item};`))
  return [...others, item + parameters].join(', ')
}

/** What another limit told to remain, `Infinity` where none did. */
function told(headers: ResponseHeaders, header: string, remaining: RegExp): number {
  const [, digits] = remaining.exec(headers.get(header) ?? '') ?? []
  return digits === undefined ? Infinity : Number(digits)
}

function tightest(standings: readonly Standing[]): Standing {
  return standings.reduce((least, standing) => (standing.remaining < least.remaining ? standing : least))
}
