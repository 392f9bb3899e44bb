import type { Clock } from '@spillway/core'
import type { Standing } from './standing.ts'

/**
 * How headers tell a client where it stands. `draft-11`: `RateLimit-Policy` and `RateLimit` as in IETF drafts 8 to 11.
 * `draft-7`: one `RateLimit` with three values. `draft-6`: `RateLimit-Limit`, `-Remaining`, `-Reset`. `legacy`: as
 * `draft-6` with the prefix `X-`, and the reset as a Unix time.
 */
export type HeaderStyle = 'draft-11' | 'draft-7' | 'draft-6' | 'legacy'

export const HEADER_STYLES: readonly HeaderStyle[] = ['draft-11', 'draft-7', 'draft-6', 'legacy']

/** A valid header name (RFC 9110). */
export const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/

/** Reads and writes a response's headers, which `To` holds. Names are in lower case, as in HTTP/2. */
export interface HeaderAccess<To> {
  get(to: To, name: string): string | undefined
  set(to: To, name: string, value: string): void
}

/**
 * Writes where the client stands. If another limit has written headers before, the styles that hold a list tell of
 * both; in the others, the limit with less remaining stays.
 */
export function writeHeaders<To>(
  writers: readonly HeaderWriter[],
  standings: readonly Standing[],
  to: To,
  headers: HeaderAccess<To>,
  clock: Pick<Clock, 'wall'>,
): void {
  for (const write of writers) write(standings, to, headers, clock)
}

export type HeaderWriter = <To>(
  standings: readonly Standing[],
  to: To,
  headers: HeaderAccess<To>,
  clock: Pick<Clock, 'wall'>,
) => void

const WRITERS: Record<HeaderStyle, HeaderWriter> = {
  'draft-11'(standings, to, headers) {
    let policies = headers.get(to, 'ratelimit-policy')
    let limits = policies === undefined ? undefined : headers.get(to, 'ratelimit')
    for (const standing of standings) {
      const policy = policyOf(standing)
      policies = joined(policies, policy.text)
      limits = joined(limits, remainsOf(standing, policy))
    }
    if (policies !== undefined) headers.set(to, 'ratelimit-policy', policies)
    if (limits !== undefined) headers.set(to, 'ratelimit', limits)
  },

  'draft-7'(standings, to, headers) {
    const { limit, window, remaining, resetAfter } = tightest(standings)
    if (told(to, headers, 'ratelimit', /remaining=(\d+)/) <= remaining) return
    headers.set(to, 'ratelimit-policy', `${limit};w=${window}`)
    headers.set(to, 'ratelimit', `limit=${limit}, remaining=${remaining}, reset=${resetAfter}`)
  },

  'draft-6'(standings, to, headers) {
    separately(standings, to, headers, 'ratelimit-', ({ resetAfter }) => resetAfter)
  },

  legacy(standings, to, headers, clock) {
    const unixTime = ({ resetAfter }: Standing) => Math.ceil(clock.wall() / 1000) + resetAfter
    separately(standings, to, headers, 'x-ratelimit-', unixTime)
  },
}

export function headerWriters(styles: readonly HeaderStyle[]): readonly HeaderWriter[] {
  return styles.map((style) => WRITERS[style])
}

function separately<To>(
  standings: readonly Standing[],
  to: To,
  headers: HeaderAccess<To>,
  prefix: string,
  reset: (standing: Standing) => number,
): void {
  const standing = tightest(standings)
  if (told(to, headers, `${prefix}remaining`, /^(\d+)$/) <= standing.remaining) return
  headers.set(to, `${prefix}limit`, String(standing.limit))
  headers.set(to, `${prefix}remaining`, String(standing.remaining))
  headers.set(to, `${prefix}reset`, String(reset(standing)))
}

/** The parts of the headers that are the same on each request. */
interface Policy {
  readonly limit: number
  readonly window: number
  readonly text: string
  /** The text before the remaining number. */
  readonly remains: string
}

/** The latest policy by limit name: policies hardly ever change. */
const POLICIES = new Map<string, Policy>()
const MOST_POLICIES = 1000

/** A limit's name consists of letters, digits and _ - . : / and so needs no escaping in a structured field's string. */
function policyOf({ name, limit, window }: Standing): Policy {
  const last = POLICIES.get(name)
  if (last !== undefined && last.limit === limit && last.window === window) return last
  const policy = { limit, window, text: `"${name}";q=${limit};w=${window}`, remains: `"${name}";r=` }
  if (POLICIES.size >= MOST_POLICIES) POLICIES.clear()
  POLICIES.set(name, policy)
  return policy
}

function remainsOf({ remaining, moreAfter }: Standing, { remains }: Policy): string {
  return moreAfter === undefined ? `${remains}${remaining}` : `${remains}${remaining};t=${moreAfter}`
}

/** Appends a member to a list, which must not repeat one: drops another of its name, and another draft's header. */
function joined(list: string | undefined, member: string): string {
  if (list === undefined || !list.startsWith('"')) return member
  const named = member.slice(0, member.indexOf(';') + 1)
  const others = list.split(', ').filter((other) => !other.startsWith(named))
  return [...others, member].join(', ')
}

/** The remaining quota that another limit has written; `Infinity` if none has. */
function told<To>(to: To, headers: HeaderAccess<To>, header: string, remaining: RegExp): number {
  const [, digits] = remaining.exec(headers.get(to, header) ?? '') ?? []
  return digits === undefined ? Infinity : Number(digits)
}

function tightest(standings: readonly Standing[]): Standing {
  return standings.reduce((least, standing) => (standing.remaining < least.remaining ? standing : least))
}
