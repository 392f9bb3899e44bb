import { type Clock, type Limit, systemClock } from '@spillway/core'
import { type Awaitable, isPromise } from './awaitable.ts'
import { ClientAddresses, type TrustProxy } from './client-address.ts'
import { HEADER_STYLES, type HeaderStyle } from './headers.ts'
import { byAddress } from './keys.ts'
import { argumentError, optionError } from './option-error.ts'
import type { Answer, Refusal } from './refusal.ts'
import type { RequestFacts } from './request-facts.ts'
import type { LimiterKey, PlanLimits, RequestLimiter } from './request-limiter.ts'

/** One limiter or several, with the same key and cost. All must allow, or what some took is given back if possible. */
export type Limiters = RequestLimiter | readonly RequestLimiter[]

/** The options that all adapters share. `Req` is the framework's own request. */
export interface RateLimitOptions<Req> {
  /**
   * The limiter or limiters, or a function that chooses them for a request, such as by tenant; undefined: the request
   * is not limited. For plans see `plan`.
   */
  limiter: Limiters | ((request: Req, facts: RequestFacts) => Awaitable<Limiters | undefined>)
  /**
   * Whose quota a request spends; default `byAddress()`. For a limiter with scopes, an object with a key for each;
   * scopes left out are skipped. Undefined: the request is not limited.
   */
  key?: ((request: Req, facts: RequestFacts) => Awaitable<LimiterKey | undefined>) | undefined
  /**
   * The limits of the request's plan, as `check(key, { limit })` takes them: of the limiter's algorithm and window,
   * created once. Undefined: the limiter's own. Works with one limiter, not with a list.
   */
  plan?: ((request: Req, facts: RequestFacts) => Awaitable<PlanLimits | undefined>) | undefined
  /** What a request costs: an integer from 1, or a function of the request; default 1. */
  cost?: number | ((request: Req, facts: RequestFacts) => Awaitable<number>) | undefined
  /** Tells which requests are not limited at all. */
  skip?: ((request: Req, facts: RequestFacts) => Awaitable<boolean>) | undefined
  /** How headers tell the client where it stands; default `'draft-11'`; `false`: no headers. */
  headers?: HeaderStyle | readonly HeaderStyle[] | false | undefined
  /** Replaces the answer to a refused request, or parts of it. The limit's headers are sent in any case. */
  response?: ((refusal: Refusal, request: Req, facts: RequestFacts) => Awaitable<Partial<Answer>>) | undefined
  /** Called for each refusal before it is answered, with `dryRun` too. */
  onDenied?: ((refusal: Refusal, request: Req, facts: RequestFacts) => Awaitable<void>) | undefined
  /** Decides, counts, sets headers and calls `onDenied` without waiting for it, but refuses and delays nothing; default false. */
  dryRun?: boolean | undefined
  /** Which proxies' `X-Forwarded-For` tells the client's address; default none. */
  trustProxy?: TrustProxy | undefined
  /** IPv6 clients whose addresses share this many leading bits count as one; default 64. */
  ipv6Prefix?: number | undefined
  /** Time and timers; default the system's. */
  clock?: Clock | undefined
}

/** The validated options with defaults filled in. */
export interface Settings<Req> {
  readonly limiters: readonly RequestLimiter[] | undefined
  readonly chooseLimiters:
    | ((request: Req, facts: RequestFacts) => Awaitable<Limiters | undefined>)
    | undefined
  readonly key: NonNullable<RateLimitOptions<Req>['key']>
  readonly plan: RateLimitOptions<Req>['plan']
  readonly cost: number | ((request: Req, facts: RequestFacts) => Awaitable<number>)
  readonly skip: RateLimitOptions<Req>['skip']
  readonly headers: readonly HeaderStyle[]
  readonly response: RateLimitOptions<Req>['response']
  readonly onDenied: RateLimitOptions<Req>['onDenied']
  readonly dryRun: boolean
  readonly addresses: ClientAddresses
  readonly clock: Clock
}

const KNOWN = [
  ...['limiter', 'key', 'cost', 'plan', 'skip', 'headers', 'response', 'onDenied', 'dryRun'],
  ...['trustProxy', 'ipv6Prefix', 'clock'],
]

/** The highest cost that a limiter accepts. */
const HIGHEST_COST = 2 ** 31 - 1

/** Whether the value may hold options. A list or a promise would pass for an object with no options set. */
function holdsOptions(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isPromise(value)
}

/** @throws ConfigError `ERR_OPTION` if they are no object */
export function checkOptions(options: unknown): void {
  if (!holdsOptions(options)) throw argumentError('rateLimit', options, 'give an object such as { limiter }')
}

/**
 * @param what what the route calls its options
 * @throws ConfigError `ERR_OPTION` if a route's own options are neither an object nor false
 */
export function checkDiffering(what: string, differing: unknown): void {
  if (differing === false || holdsOptions(differing)) return
  throw optionError(what, differing, 'give options of its own such as { cost: 10 }, or false for no limit')
}

/**
 * The general options overridden by a route's own; undefined ones override nothing. A plan belongs to its limiter: a
 * route with another limiter does not inherit it.
 */
export function differingOptions<O extends object>(
  general: O,
  differing: Partial<RateLimitOptions<never>> & Partial<O>,
): O {
  const given = Object.fromEntries(Object.entries(differing).filter(([, value]) => value !== undefined))
  return { ...general, ...(differing.limiter !== undefined && { plan: undefined }), ...given }
}

/**
 * Validates an adapter's options, once; later code relies on it.
 *
 * @param own the names of the adapter's own options, which it validates itself
 * @throws ConfigError `ERR_OPTION`
 */
export function settings<Req>(options: RateLimitOptions<Req>, own: readonly string[] = []): Settings<Req> {
  checkOptions(options)
  const known = [...KNOWN, ...own]
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw optionError('the option', option, `there is none of that name; there are ${known.join(', ')}`)
    }
  }
  const { limiter, key = byAddress(), cost = 1, headers = 'draft-11', dryRun = false } = options
  const { clock = systemClock } = options
  checkClock(clock)
  const chosen = typeof limiter === 'function' ? limiter : undefined
  const { plan, skip, response, onDenied } = options
  const functions = { key, plan, skip, response, onDenied }
  for (const [name, value] of Object.entries(functions)) {
    if (value !== undefined && typeof value !== 'function') {
      throw optionError(name, value, 'give a function of the request')
    }
  }
  if (typeof cost !== 'function' && !(Number.isInteger(cost) && cost >= 1 && cost <= HIGHEST_COST)) {
    throw optionError('cost', cost, `give an integer from 1 to ${HIGHEST_COST}, or a function of the request`)
  }
  if (typeof dryRun !== 'boolean') throw optionError('dryRun', dryRun, 'give true or false')
  const limiters = chosen ? undefined : limitersOf(limiter as Limiters, plan)
  if (options.key === undefined && limiters?.some(isScoped)) {
    throw optionError('key', undefined, 'give a function with a key for each scope: the limiter has scopes')
  }
  return {
    limiters,
    chooseLimiters: chosen,
    key,
    plan,
    cost,
    skip,
    headers: headerStyles(headers),
    response,
    onDenied,
    dryRun,
    addresses: new ClientAddresses(options.trustProxy, options.ipv6Prefix),
    clock,
  }
}

/** @throws ConfigError `ERR_OPTION` if one of them is no limiter, or if several come with a plan */
export function limitersOf<Req>(
  limiters: Limiters,
  plan: RateLimitOptions<Req>['plan'],
): readonly RequestLimiter[] {
  const list = Array.isArray(limiters)
    ? (limiters as readonly RequestLimiter[])
    : [limiters as RequestLimiter]
  if (list.length === 0) throw optionError('limiter', limiters, 'give at least one limiter')
  for (const limiter of list) {
    if (typeof limiter?.check !== 'function') {
      throw optionError('limiter', limiter, "make one with createLimiter({ name: 'api', limit: … })")
    }
  }
  if (list.length > 1 && plan !== undefined) {
    throw optionError(
      'plan',
      plan,
      'give one limiter with it, not a list: a plan is of its algorithm and window',
    )
  }
  return list
}

function checkClock(clock: unknown): void {
  const { wall, monotonic, setTimer, clearTimer } = (clock ?? {}) as Partial<Clock>
  if ([wall, monotonic, setTimer, clearTimer].every((part) => typeof part === 'function')) return
  throw optionError(
    'clock',
    clock,
    'give an object with wall, monotonic, setTimer and clearTimer, or leave it out',
  )
}

function headerStyles(headers: HeaderStyle | readonly HeaderStyle[] | false): readonly HeaderStyle[] {
  const styles = headers === false ? [] : [headers].flat()
  const wrong = styles.findIndex((style) => !HEADER_STYLES.includes(style))
  if (wrong >= 0) {
    throw optionError(
      'headers',
      styles[wrong],
      `give false, or one or several of ${HEADER_STYLES.join(', ')}`,
    )
  }
  if (styles.includes('draft-11') && styles.includes('draft-7')) {
    throw optionError('headers', styles, 'draft-11 and draft-7 both write RateLimit: take one of them')
  }
  return styles
}

/** Whether the limiter has scopes. A scope may be named `algorithm`, but then its value is no string. */
function isScoped({ limit }: RequestLimiter): boolean {
  return !Array.isArray(limit) && typeof (limit as Limit | undefined)?.algorithm !== 'string'
}
