import type { Algorithm } from './algorithms/algorithm.ts'
import { type Clock, checkClock, systemClock } from './clock.ts'
import { type Duration, durationMs } from './duration.ts'
import { ConfigError, show } from './errors.ts'
import { type KeyList, onList } from './key-list.ts'
import {
  isScopes,
  type LimitPart,
  type Limits,
  limitParts,
  reserveOf,
  type ScopeKeys,
  type Scopes,
  type SpikeOptions,
} from './limit-parts.ts'
import { checkOptionNames, holdsOptions } from './option-names.ts'
import { memoryStore } from './store/memory.ts'
import type { Store } from './store/store.ts'

export type Mode = 'hard' | 'soft' | 'leased'

/** What a check is answered while the store is away. */
export type OnOutage = 'local' | 'allow' | 'deny' | 'throw'

interface CommonOptions<M extends Mode, L> {
  /** Namespace in the store, in metrics and in headers: 1 to 64 letters, digits and `_ - . : /`. */
  name: string
  /**
   * Who decides: the store (`'hard'`, default); this node's RAM by what it knows (`'soft'`), or out of quota that was
   * booked in the store beforehand (`'leased'`).
   */
  mode?: M | undefined
  /** Default: a `memoryStore()` of the limiter's own. */
  store?: Store | undefined
  /** Soft and leased; in hard mode only how soon a waiting `acquire` asks again. */
  sync?: SyncOptions | undefined
  /** Default: `'local'` for soft without `maxOvershoot`, otherwise `'deny'`. */
  onOutage?: OnOutage | undefined
  /** The longest a check waits for the store; default `'100ms'`. */
  timeout?: Duration | undefined
  /** The most keys held in RAM; default 100,000. */
  maxKeys?: number | undefined
  /** Counts as if enforced, but allows everything: decisions say `wouldDeny`. Default false. */
  dryRun?: boolean | undefined
  /**
   * Keys that are always allowed, and not counted: looked at before `deny`, and both before a block and the limit. The
   * list is this node's own: nothing of it is shared. A function or a `Set` is asked at each call, so that changes to
   * it count at once; an array is copied.
   */
  allow?: L | undefined
  /** Keys that are always denied; otherwise as `allow`. */
  deny?: L | undefined
  /** How many may wait in `acquire` for one key; default 1000. */
  maxWaiting?: number | undefined
  /** Time and timers; default the machine's. */
  clock?: Clock | undefined
  /** Numbers from 0 to 1 for jitter; default `Math.random`. */
  random?: (() => number) | undefined
}

/** A limiter with one key per check. */
export interface LimiterOptions<M extends Mode = Mode> extends CommonOptions<M, KeyList<string>> {
  /** A limit, or several that must all allow a check. */
  limit: Limits
  /** Lets a key exceed its limit for a while, out of a reserve that refills slowly. */
  spike?: SpikeOptions | undefined
}

/**
 * A limiter with a key per scope in each check. `scopes` alone tells which scopes there are, not a function that looks
 * at some.
 */
export interface ScopedOptions<S extends string, M extends Mode = Mode>
  extends CommonOptions<M, (keys: ScopeKeys<NoInfer<S>>) => boolean> {
  scopes: Scopes<S>
}

export interface SyncOptions {
  /** The longest that other nodes do not know of what was admitted here; default `'1s'`. */
  interval?: Duration | undefined
  /**
   * Soft: all nodes together never have more in use than the limit plus this share of it, from 0 to 1, rounded down; a
   * check that would pass that is taken in the store. Default: no such bound.
   */
  maxOvershoot?: number | undefined
  /** Soft: `false` settles once an interval and no sooner, for comparison; default `true`. */
  early?: boolean | undefined
}

/** The options with their defaults, valid. */
export interface Settings {
  readonly name: string
  readonly parts: readonly LimitPart[]
  readonly reserve: LimitPart | undefined
  readonly mode: Mode
  readonly store: Store
  readonly interval: number
  /** Whether only booked quota is spent; and the share of the limit that may be booked above it. */
  readonly strict: boolean
  readonly maxOvershoot: number
  readonly early: boolean
  readonly onOutage: OnOutage
  readonly timeout: number
  readonly maxKeys: number
  readonly clock: Clock
  readonly random: () => number
  readonly dryRun: boolean
  readonly allows: ((key: unknown) => boolean) | undefined
  readonly denies: ((key: unknown) => boolean) | undefined
  readonly maxWaiting: number
}

/** What one of a limiter's limits goes by; the limit may be changed while it runs. */
export interface LimitSettings extends Settings {
  limit: Algorithm
  /** How far above the limit may be booked. */
  extra: number
}

export function extraOf({ maxOvershoot }: Settings, { limit }: Algorithm): number {
  return Math.floor(maxOvershoot * limit)
}

/**
 * How often in a window a node that spends booked quota settles, at least; and the shortest interval for that, in
 * milliseconds.
 */
const SETTLES = 8
const SHORTEST = 50

/**
 * The longest that a key waits to be settled. Booked quota that is not needed is given back then: with an interval as
 * long as the window, what a node was asked for in its first half would be booked for it in the second. A whole number:
 * Redis takes no other for how long it remembers a node.
 */
export function intervalOf({ interval, strict }: Settings, { window }: Algorithm): number {
  return strict ? Math.min(interval, Math.max(SHORTEST, Math.floor(window / SETTLES))) : interval
}

const KNOWN = [
  ...[
    'name',
    'limit',
    'scopes',
    'mode',
    'store',
    'sync',
    'onOutage',
    'timeout',
    'maxKeys',
    'clock',
    'random',
  ],
  ...['spike', 'dryRun', 'allow', 'deny', 'maxWaiting'],
]

function fail(what: string, value: unknown, mend: string): never {
  throw new ConfigError('ERR_OPTION', `${what} is ${show(value)}: ${mend}`)
}

/**
 * Validates a limiter's options, once; all later code takes them as valid.
 *
 * @throws ConfigError
 */
export function settings(options: LimiterOptions | ScopedOptions<string>): Settings {
  if (!holdsOptions(options)) {
    throw new ConfigError(
      'ERR_OPTION',
      `createLimiter was given ${show(options)}: give an object such as { name, limit }`,
    )
  }
  checkOptionNames(options, 'createLimiter', KNOWN)
  const { name, mode = 'hard', sync, maxKeys = 100_000, dryRun = false, maxWaiting = 1000 } = options
  const { limit, scopes, spike } = options as Partial<LimiterOptions & ScopedOptions<string>>
  if (typeof name !== 'string' || !/^[\w.:/-]{1,64}$/.test(name)) {
    fail('name', name, "give 1 to 64 letters, digits and _ - . : /, such as 'api'")
  }
  if (scopes !== undefined && limit !== undefined)
    fail('scopes', scopes, 'give either `limit` or `scopes`: a scope has limits of its own')
  if (scopes !== undefined && !isScopes(scopes))
    fail('scopes', scopes, 'give an object with the limits of each scope')
  if (scopes === undefined && isScopes(limit as Limits))
    fail('limit', limit, "make one with fixedWindow({ limit: 100, window: '1m' }) or its like")
  const parts = limitParts(
    name,
    (scopes ?? limit) as Limits | Scopes,
    scopes === undefined ? 'limit' : 'scopes',
  )
  if (spike !== undefined && scopes !== undefined)
    fail(
      'spike',
      spike,
      'leave it out: a limiter of scopes has several keys; make one of its own for the key',
    )
  if (spike !== undefined && !holdsOptions(spike))
    fail('spike', spike, "give an object such as { extra: 50, per: '1h' }")
  if (typeof dryRun !== 'boolean') fail('dryRun', dryRun, 'give true or false')
  if (!Number.isInteger(maxWaiting) || maxWaiting < 1)
    fail('maxWaiting', maxWaiting, 'give an integer from 1')
  if (!['hard', 'soft', 'leased'].includes(mode)) fail('mode', mode, "give 'hard', 'soft' or 'leased'")
  if (sync !== undefined && !holdsOptions(sync))
    fail('sync', sync, "give an object such as { interval: '1s' }")
  checkOptionNames(sync ?? {}, 'sync', ['interval', 'maxOvershoot', 'early'])
  const { interval = 1000, maxOvershoot, early = true } = sync ?? {}
  if (maxOvershoot !== undefined) {
    if (typeof maxOvershoot !== 'number' || !(maxOvershoot >= 0 && maxOvershoot <= 1))
      fail('sync.maxOvershoot', maxOvershoot, 'give a share of the limit from 0 to 1, such as 0.05')
    if (mode !== 'soft')
      fail('sync.maxOvershoot', maxOvershoot, `leave it out: ${mode} is never above the limit`)
  }
  const strict = mode === 'leased' || maxOvershoot !== undefined
  if (typeof early !== 'boolean') fail('sync.early', early, 'give true or false')
  if (strict && !early) fail('sync.early', early, 'leave it out: booked quota needs early syncs')
  const { onOutage = mode === 'soft' && !strict ? 'local' : 'deny', timeout = 100 } = options
  if (!['local', 'allow', 'deny', 'throw'].includes(onOutage)) {
    fail('onOutage', onOutage, "give 'local', 'allow', 'deny' or 'throw'")
  }
  if (!Number.isInteger(maxKeys) || maxKeys < 1 || maxKeys > 2 ** 24) {
    fail('maxKeys', maxKeys, 'give an integer from 1 to 16,777,216')
  }
  const { clock = systemClock, random = Math.random } = options
  checkClock(clock)
  if (typeof random !== 'function') fail('random', random, 'give a function such as Math.random')
  const { store = memoryStore({ clock }) } = options
  if (typeof store?.open !== 'function') {
    fail('store', store, "give memoryStore() or redisStore('redis://127.0.0.1:6379')")
  }
  return {
    name,
    parts,
    reserve: spike === undefined ? undefined : reserveOf(name, spike),
    mode,
    store,
    interval: durationMs(interval, 'sync.interval'),
    strict,
    maxOvershoot: maxOvershoot ?? 0,
    early,
    onOutage,
    timeout: durationMs(timeout, 'timeout'),
    maxKeys,
    clock,
    random,
    dryRun,
    allows: onList(options.allow as KeyList<unknown> | undefined, 'allow', scopes !== undefined),
    denies: onList(options.deny as KeyList<unknown> | undefined, 'deny', scopes !== undefined),
    maxWaiting,
  }
}

/** @throws ConfigError `ERR_COST` where it is not an integer from 1 to 2^31 − 1 */
export function checkCost(cost: unknown): asserts cost is number {
  if (Number.isInteger(cost) && (cost as number) >= 1 && (cost as number) < 2 ** 31) return
  throw new ConfigError('ERR_COST', `the cost is ${show(cost)}: give an integer from 1 to ${2 ** 31 - 1}`)
}

/** @throws ConfigError `ERR_COST` where it is not an integer from 0 to 2^31 − 1 */
export function checkActual(cost: unknown): asserts cost is number {
  if (cost !== 0) checkCost(cost)
}

/** Which options each call has, as which argument, and an example. */
const CALLS = {
  check: { names: ['cost', 'limit'], place: 'second', example: '{ cost: 5 }' },
  peek: { names: ['limit'], place: 'second', example: '{ limit: plan }' },
  acquire: { names: ['cost', 'limit', 'signal', 'maxWait'], place: 'second', example: "{ maxWait: '5s' }" },
  reserve: { names: ['limit', 'settleAfter'], place: 'third', example: "{ settleAfter: '5m' }" },
  refund: { names: ['limit'], place: 'third', example: '{ limit: plan }' },
  penalty: { names: ['limit'], place: 'third', example: '{ limit: plan }' },
}

/**
 * @throws ConfigError `ERR_OPTION` if a call's options are not an object, such as a bare cost, or have an unknown name
 */
export function checkCallOptions(options: unknown, call: keyof typeof CALLS): void {
  const { names, place, example } = CALLS[call]
  if (!holdsOptions(options)) fail(`the ${place} argument`, options, `give an object such as ${example}`)
  checkOptionNames(options, call, names)
}

/**
 * As `checkCallOptions`, for a check, which can't spare what it costs to look at names: it looks only if no known
 * option is given, as when one is misspelt.
 */
export function checkCheckOptions(options: { cost?: unknown; limit?: unknown } | null): void {
  const isObject = typeof options === 'object' && options !== null
  if (!isObject || (options.cost === undefined && options.limit === undefined))
    checkCallOptions(options, 'check')
}

const EVENTS: readonly unknown[] = ['degraded', 'recovered']

/** @throws ConfigError `ERR_OPTION` if there is no such event, or the listener is not a function */
export function checkListener(event: unknown, listener: unknown): void {
  if (!EVENTS.includes(event)) fail('the event', event, "there are 'degraded' and 'recovered'")
  if (typeof listener !== 'function') fail('the listener', listener, 'give a function')
}

/** @throws ConfigError `ERR_OPTION` if it is not a signal: known by its methods, since it may be of another realm */
export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined) return
  const { throwIfAborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>
  if (typeof throwIfAborted === 'function' && typeof addEventListener === 'function') return
  fail('signal', signal, 'give the `signal` of an AbortController, or AbortSignal.timeout(1000)')
}
