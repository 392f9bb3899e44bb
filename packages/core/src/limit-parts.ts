import { type Algorithm, checkCount, type Limit } from './algorithms/algorithm.ts'
import { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
import { type Duration, durationMs } from './duration.ts'
import { ConfigError, show } from './errors.ts'
import { checkOptionNames } from './option-names.ts'
import { signature } from './store/store.ts'

/** One limit, or several that must all allow a check. */
export type Limits = Limit | readonly Limit[]

/** The limits of each scope, such as user, address and all together. */
export type Scopes<S extends string = string> = Readonly<Record<S, Limits>>

/** A key for each scope that a check counts in; one left out is skipped. */
export type ScopeKeys<S extends string = string> = { readonly [scope in S]?: string | undefined }

/**
 * The key that a check has for a limit's scope; undefined: the limit is left out. Without a scope, a limit goes by the
 * whole key.
 */
export function keyIn(key: string | ScopeKeys, scope: string | undefined): string | undefined {
  if (typeof key === 'string' || scope === undefined) return key as string
  return Object.hasOwn(key, scope) ? key[scope] : undefined
}

/** One of a limiter's limits, with a table of its own in the store. */
export interface LimitPart {
  /** What decisions and headers call it while no other numbers are set. */
  readonly name: string
  /** Where it stands among the limits of one key, from 0; whether it is the only one. */
  readonly place: number
  readonly isOnly: boolean
  /** The name of its counts. Only the first limit's could be a limiter's name, too. */
  readonly table: string
  /** The name that the limits of one key share: those of a scope, or all. */
  readonly group: string
  /** Which part of the keys it counts, if they are spread; otherwise 0. */
  readonly shard: number
  readonly scope: string | undefined
  readonly limit: Algorithm
}

/** The most limits that one check decides on. */
const MOST_PARTS = 16
const SCOPE_NAME = /^[\w.-]{1,32}$/

/** @throws ConfigError `ERR_OPTION` where it is not a limit */
function checkLimit(limit: unknown, what: string): asserts limit is Algorithm {
  if (typeof limit === 'object' && typeof (limit as Partial<Algorithm> | null)?.take === 'function') return
  throw new ConfigError(
    'ERR_OPTION',
    `${what} is ${show(limit)}: make one with fixedWindow({ limit: 100, window: '1m' }) or its like`,
  )
}

function listOf(limits: Limits, what: string): readonly Algorithm[] {
  const list: readonly unknown[] = Array.isArray(limits) ? limits : [limits]
  if (list.length === 0)
    throw new ConfigError('ERR_OPTION', `${what} is an empty list: give at least one limit`)
  for (const limit of list) checkLimit(limit, what)
  return list as readonly Algorithm[]
}

/** `10-per-1s`: of a bucket, what it holds and the time it takes to fill. */
function describe({ limit, window }: Limit): string {
  const units = Object.entries({ d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 })
  const [unit, ms] = units.find(([, ms]) => window % ms === 0) ?? ['ms', 1]
  return `${limit}-per-${window / ms}${unit}`
}

/** The name of a limit: its scope, and its numbers if there are several. */
export function nameOf(name: string, scope: string | undefined, isOnly: boolean, limit: Limit): string {
  const own = isOnly ? undefined : describe(limit)
  return [scope, own].filter((part) => part !== undefined).join(':') || name
}

/** The name, or another one if one of those before has it. */
export function toldApart(name: string, place: number, before: readonly { readonly name: string }[]): string {
  for (const other of before) if (other.name === name) return `${name}:${place + 1}`
  return name
}

function parts(name: string, scope: string | undefined, limits: Limits, what: string): LimitPart[] {
  const list = listOf(limits, what)
  const base = scope === undefined ? name : `${name}~${scope}`
  const isOnly = list.length === 1
  const all: LimitPart[] = []
  for (const [place, limit] of list.entries())
    all.push({
      name: toldApart(nameOf(name, scope, isOnly, limit), place, all),
      place,
      isOnly,
      table: place === 0 ? base : `${base}~${place + 1}`,
      group: base,
      shard: 0,
      scope,
      limit,
    })
  return all
}

/**
 * The limits that a limiter is made of.
 *
 * @throws ConfigError `ERR_OPTION`
 */
export function limitParts(name: string, limits: Limits | Scopes, what = 'limit'): readonly LimitPart[] {
  const scoped = isScopes(limits)
  const all = scoped
    ? Object.entries(limits).flatMap(([scope, its]) => {
        if (!SCOPE_NAME.test(scope)) {
          throw new ConfigError(
            'ERR_OPTION',
            `the scope ${show(scope)}: name it by 1 to 32 letters, digits and _ - .`,
          )
        }
        return parts(name, scope, its, `${what}.${scope}`)
      })
    : parts(name, undefined, limits, what)
  if (all.length === 0) throw new ConfigError('ERR_OPTION', `${what} names no scope: give at least one`)
  if (all.length > MOST_PARTS) {
    throw new ConfigError(
      'ERR_OPTION',
      `${what} has ${all.length} limits: a check decides on ${MOST_PARTS} at most`,
    )
  }
  return all
}

/** A scope may have any name, even that of a limit's property. */
export function isScopes(limits: Limits | Scopes): limits is Scopes {
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits)) return false
  const { take, algorithm } = limits as { take?: unknown; algorithm?: unknown }
  return typeof take !== 'function' && typeof algorithm !== 'string'
}

/** @throws ConfigError `ERR_MISMATCH` where other numbers do not fit what is counted under a name */
export function checkSameKind(ours: LimitPart, theirs: LimitPart | undefined): asserts theirs is LimitPart {
  if (theirs !== undefined && signature(ours.limit) === signature(theirs.limit)) return
  throw new ConfigError(
    'ERR_MISMATCH',
    `${ours.name} has ${signature(ours.limit)} ms, and the limit given ${
      theirs === undefined ? 'none of that place' : `${signature(theirs.limit)} ms`
    }: only the numbers may differ, of a bucket with the same \`per\` and time to fill`,
  )
}

/** A reserve out of which a key may exceed its limit: `extra` in all, which takes `per` to fill again. */
export interface SpikeOptions {
  /** An integer from 1. */
  extra: number
  per: Duration
}

/** The reserve as a limit of its own. @throws ConfigError `ERR_OPTION`, `ERR_LIMIT`, `ERR_DURATION` */
export function reserveOf(name: string, spike: SpikeOptions): LimitPart {
  checkOptionNames(spike, 'spike', ['extra', 'per'])
  const { extra, per } = spike
  checkCount(extra, 'spike.extra')
  durationMs(per, 'spike.per')
  const limit = tokenBucket({ capacity: extra, refill: extra, per }) as Algorithm
  const table = `${name}~spike`
  return { name: 'spike', place: 0, isOnly: true, table, group: name, shard: 0, scope: undefined, limit }
}
