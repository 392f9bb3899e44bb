import { EventEmitter } from 'node:events'
import { AcquireQueue } from './acquire-queue.ts'
import type { Stats } from './checks.ts'
import type { Decider } from './decider.ts'
import { Decision, listedDecision, passedAnyway } from './decision.ts'
import { type Duration, durationMs } from './duration.ts'
import { ConfigError, StoreError, show } from './errors.ts'
import type { HardChecks } from './hard/hard-checks.ts'
import { checkKey, LONGEST_KEY } from './key.ts'
import type { Limits, ScopeKeys, Scopes } from './limit-parts.ts'
import type { LocalDecisions } from './local/local-decisions.ts'
import {
  checkCallOptions,
  checkCheckOptions,
  checkCost,
  checkListener,
  checkSignal,
  type LimiterOptions,
  type Mode,
  type ScopedOptions,
  type Settings,
  settings,
} from './options.ts'
import { type Payment, paymentOf } from './payment.ts'
import { Plans } from './plans.ts'
import { type Reservation, Reservations } from './reservation.ts'
import { SeveralLimits } from './several-limits.ts'
import { ShardedLimit } from './sharded-limit.ts'
import { SingleLimit } from './single-limit.ts'
import { UnderWay } from './under-way.ts'

export interface PlanOptions<L = Limits> {
  /**
   * Goes by another limit than the limiter's, such as that of a plan: make it once, with the same algorithm and window.
   * A list must have as many limits; scopes that are left out keep theirs.
   */
  limit?: L | undefined
}

export interface CheckOptions<L = Limits> extends PlanOptions<L> {
  /** A positive integer; default 1. */
  cost?: number | undefined
}

export interface AcquireOptions<L = Limits> extends CheckOptions<L> {
  /** Stops waiting; what was taken is given back. */
  signal?: AbortSignal | undefined
  /** The longest to wait; default: for ever. */
  maxWait?: Duration | undefined
}

export interface ReserveOptions<L = Limits> {
  limit?: L | undefined
  /** A reservation that is not settled for so long costs what was estimated; default `'1m'`. */
  settleAfter?: Duration | undefined
}

/**
 * Milliseconds after which a closing limiter asks the store for nothing more: whoever stops a process may not wait for
 * minutes.
 */
const LONGEST_CLOSING = 10_000

/** For checks that are given none: made once, not for each. */
const NO_OPTIONS: CheckOptions<never> = {}

/** What a user holds. All methods but `checkSync` and `stats` return promises, and reject rather than throw. */
class Limiter<K extends string | ScopeKeys = string, L extends Limits | Partial<Scopes> = Limits> {
  private readonly events = new EventEmitter()
  private readonly plans: Plans<K>
  private readonly line: AcquireQueue
  private readonly reservations: Reservations
  /** Holds the keys, if a check has nothing else to ask: a single limit, and no lists. */
  private held: LocalDecisions | undefined
  /** The same for a limit whose keys are spread over shards: each holds its own. */
  private sharded: ShardedLimit | undefined
  /** The same for several limits. */
  private several: SeveralLimits<K> | undefined
  /** The same for a limiter that asks the store about each check. */
  private readonly hard: HardChecks | undefined
  private readonly counted = (decision: Decision) => this.count(decision)
  /** What was begun before closing ends first. */
  private readonly changes = new UnderWay()
  private closing: Promise<void> | undefined
  protected admitted = 0
  private denied = 0

  constructor(
    protected readonly settings: Settings,
    /** The limit that it was made with. */
    readonly limit: K extends string ? L : Limits | Scopes,
  ) {
    // In a microtask, so that a listener's error is not taken for the check's.
    const changed = (away: boolean) => queueMicrotask(() => this.events.emit(away ? 'degraded' : 'recovered'))
    this.plans = new Plans(settings, changed)
    this.line = new AcquireQueue(settings.clock, settings.maxWaiting, settings.interval)
    this.reservations = new Reservations(settings.clock)
    const { own, spike } = this.plans
    const { allows, denies } = settings
    if (spike === undefined && allows === undefined && denies === undefined) {
      if (own instanceof SeveralLimits && own.mayBeReady) this.several = own
      else if (own instanceof SingleLimit) {
        this.held = own.local?.decisions
        this.hard = own.hard
      } else if (own instanceof ShardedLimit && settings.mode !== 'hard') this.sharded = own
    }
  }

  get name(): string {
    return this.settings.name
  }

  /**
   * Calls back when the store goes away (`'degraded'`) or is back (`'recovered'`); returns how to stop it.
   *
   * @throws ConfigError `ERR_OPTION`
   */
  on(event: 'degraded' | 'recovered', listener: () => void): () => void {
    checkListener(event, listener)
    this.events.on(event, listener)
    return () => this.events.off(event, listener)
  }

  /** Validates what a call was given; returns what decides on the key. */
  protected prepare(key: unknown, cost: unknown, limit?: L): Decider<K> {
    this.open()
    const decider: Decider<K> = limit === undefined ? this.plans.own : this.plans.of(limit)
    decider.checkKey(key)
    checkCost(cost)
    return decider
  }

  private open(): void {
    if (this.closing === undefined) return
    throw new ConfigError(
      'ERR_CLOSED',
      `the limiter ${show(this.settings.name)} is closed: create another one`,
    )
  }

  /** What the `allow` and `deny` lists say of a key now, before anything is counted. */
  protected listed(key: K, decider: Decider<K>): Decision | undefined {
    const { allows, denies } = this.settings
    if (allows === undefined && denies === undefined) return undefined
    const allowed = allows?.(key)
    if (!allowed && !denies?.(key)) return undefined
    return listedDecision(allowed === true, this.plans.limitsFor(decider, key))
  }

  protected count(decision: Decision): Decision {
    if (decision.allowed) {
      this.admitted++
      return decision
    }
    this.denied++
    return this.enforced(decision)
  }

  /**
   * What holds the key of a check that has nothing else to ask: a key that is held is a valid one. Not of a string that is
   * too long to be a key, which is refused without being read: it may be megabytes.
   */
  protected holder(key: K, options: CheckOptions<L>): LocalDecisions | undefined {
    if (options !== NO_OPTIONS || typeof key !== 'string' || key.length > LONGEST_KEY) return undefined
    return this.held ?? this.sharded?.holderOf(key)
  }

  /** Decides a check of several limits, if the rows of its keys suffice. */
  protected checkReady(key: K, options: CheckOptions<L>): Decision | undefined {
    return options === NO_OPTIONS ? this.several?.checkReady(key) : undefined
  }

  private enforced(decision: Decision): Decision {
    return this.settings.dryRun && !decision.allowed ? passedAnyway(decision) : decision
  }

  /**
   * Takes `cost` if the limit allows it; a refused check takes nothing.
   *
   * @throws ConfigError `ERR_KEY`, `ERR_COST`, `ERR_OPTION`, `ERR_MISMATCH`, `ERR_CLOSED`; StoreError only with
   * `onOutage: 'throw'`
   */
  check(key: K, options: CheckOptions<L> = NO_OPTIONS): Promise<Decision> {
    // Not an async function: the checks that RAM answers, nearly all, would pay for its state.
    try {
      const held = this.holder(key, options)
      if (held !== undefined) {
        const row = held.keys.findRow(key as string)
        if (row < 0) return this.counting(this.checkClosely(key, options))
        const ready = held.takeReady(row)
        if (ready === undefined) return this.counting(held.checkHeld(row))
        this.admitted++
        return Promise.resolve(ready)
      }
      if (this.hard !== undefined && options === NO_OPTIONS) return this.checkThere(key as string, this.hard)
      return this.counting(this.checkClosely(key, options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  private counting(answer: Decision | Promise<Decision>): Promise<Decision> {
    if (answer instanceof Decision) return Promise.resolve(this.count(answer))
    const counted = answer.then(this.counted)
    // A hard check's queue knows of it. In the other modes, nothing would be booked for it once the limiter has closed.
    return this.settings.mode === 'hard' ? counted : this.changes.add(counted)
  }

  /** Asks the store: the decision is counted as it comes, which saves a promise. */
  private checkThere(key: string, hard: HardChecks): Promise<Decision> {
    this.open()
    checkKey(key)
    return hard.checkTelling(key, 1, this.counted)
  }

  private checkClosely(key: K, options: CheckOptions<L>): Decision | Promise<Decision> {
    const ready = this.checkReady(key, options)
    if (ready !== undefined) return ready
    checkCheckOptions(options)
    const { cost = 1, limit } = options
    const decider = this.prepare(key, cost, limit)
    return this.listed(key, decider) ?? this.decide(decider, key, cost)
  }

  private decide(decider: Decider<K>, key: K, cost: number): Decision | Promise<Decision> {
    const { spike } = this.plans
    if (spike === undefined) return decider.check(key, cost)
    return spike.check(decider as Decider<string>, key as string, cost)
  }

  /** What `checkSync` does in a limiter that has it. */
  protected decideSync(decider: Decider<K>, key: K, cost: number): Decision {
    const { spike } = this.plans
    if (spike === undefined) return decider.checkSync(key, cost)
    return spike.checkSync(decider as Decider<string>, key as string, cost)
  }

  /** The decision that a check of cost 1 would get, taking nothing. */
  async peek(key: K, options: PlanOptions<L> = NO_OPTIONS): Promise<Decision> {
    checkCallOptions(options, 'peek')
    const decider = this.prepare(key, 1, options.limit)
    const listed = this.listed(key, decider)
    if (listed !== undefined) return this.enforced(listed)
    const peeked = this.plans.spike?.peek(decider as Decider<string>, key as string) ?? decider.peek(key)
    return this.enforced(await this.changes.add(peeked))
  }

  /**
   * Waits until the cost is allowed, and with a leaky bucket until its turn has come. Those that wait for a key are
   * served in their order.
   *
   * @throws AcquireError `ERR_MAX_WAIT` where that would be past `maxWait`, `ERR_NEVER` where the cost is above the
   * limit, `ERR_QUEUE_FULL` where `maxWaiting` wait; the signal's reason on abort. Nothing stays taken then.
   */
  async acquire(key: K, options: AcquireOptions<L> = NO_OPTIONS): Promise<Decision> {
    checkCallOptions(options, 'acquire')
    const { signal, maxWait, cost = 1, limit } = options
    checkSignal(signal)
    this.prepare(key, cost, limit)
    const asked = kept(key)
    const { clock } = this.settings
    const last = maxWait === undefined ? Infinity : clock.monotonic() + durationMs(maxWait, 'maxWait')
    signal?.throwIfAborted()
    let payment: Payment<K> | undefined
    return this.line.acquire(lineOf(asked), {
      signal,
      last,
      take: async () => {
        const taken = await this.changes.add(this.taking(asked, cost, limit))
        payment = taken.payment
        return taken.decision
      },
      // Even on a limiter closed meanwhile. With the store away, the cost stays taken.
      giveBack: async () => {
        if (payment === undefined) return
        await this.changes.add(payment.payer.refund(asked, cost, payment)).catch((error: unknown) => {
          const isClosed = error instanceof ConfigError && error.code === 'ERR_CLOSED'
          if (!isClosed && !(error instanceof StoreError)) throw error
        })
      },
    })
  }

  /** As `check`, with how the cost was paid. */
  private async taking(
    key: K,
    cost: number,
    limit?: L,
  ): Promise<{ decision: Decision; payment: Payment<K> | undefined }> {
    const decider = this.prepare(key, cost, limit)
    const listed = this.listed(key, decider)
    if (listed !== undefined) return { decision: this.count(listed), payment: undefined }
    const { spike } = this.plans
    const at = this.settings.clock.monotonic()
    const taken =
      spike === undefined
        ? await decider.take(key, cost)
        : await spike.take(decider as Decider<string>, key as string, cost)
    const payment = paymentOf(taken, decider, spike, { at, cost }, this.settings.mode)
    return { decision: this.count(taken.decision), payment }
  }

  /**
   * Takes what a call is estimated to cost, to be settled when its true cost is known.
   *
   * @example
   * ```ts
   * import { createLimiter, tokenBucket } from '@spillway/core'
   *
   * const limit = tokenBucket({ capacity: 10_000, refill: 10_000, per: '1m' })
   * const limiter = createLimiter({ name: 'tokens', limit })
   * const call = await limiter.reserve('user:42', 2000)
   * if (call.allowed) await call.settle(1500)
   * console.log((await limiter.peek('user:42')).remaining) // 8499
   * ```
   */
  async reserve(key: K, estimate: number, options: ReserveOptions<L> = NO_OPTIONS): Promise<Reservation> {
    checkCallOptions(options, 'reserve')
    const { limit, settleAfter = '1m' } = options
    const ms = durationMs(settleAfter, 'settleAfter')
    const reserved = kept(key)
    const { decision, payment } = await this.changes.add(this.taking(reserved, estimate, limit))
    const account = payment && {
      refund: (cost: number) =>
        this.changing(reserved, () => this.settling(payment.payer).refund(reserved, cost, payment)),
      charge: (cost: number) => this.acknowledged(() => this.settling(payment.payer).charge(reserved, cost)),
    }
    return this.reservations.open(decision, account, estimate, ms)
  }

  /** @throws ConfigError `ERR_CLOSED` */
  private settling(payer: Decider<K>): Decider<K> {
    this.open()
    return payer
  }

  /**
   * Gives cost back to the current window or bucket, clamped at zero usage; in a log, the newest entries go first. For
   * a key on the `allow` list nothing was counted, and nothing goes back. If a plan's limit decides on the key, give it
   * as `limit`, so that this node goes by the refund at once.
   */
  async refund(key: K, cost = 1, options: PlanOptions<L> = NO_OPTIONS): Promise<boolean> {
    checkCallOptions(options, 'refund')
    const decider = this.prepare(key, cost, options.limit)
    if (this.listed(key, decider)?.allowed) return true
    return this.changing(key, () => this.plans.refund(key, cost, decider))
  }

  /**
   * Charges cost, whether the limit allows it or not: what is above it is `debt`. On all nodes within one sync
   * interval. A key counts up to 2^35 (34 thousand million); what is charged beyond that is not recorded. For a key on
   * the `allow` list, nothing is. `limit` as for `refund`.
   */
  async penalty(key: K, cost = 1, options: PlanOptions<L> = NO_OPTIONS): Promise<boolean> {
    checkCallOptions(options, 'penalty')
    const decider = this.prepare(key, cost, options.limit)
    if (this.listed(key, decider)?.allowed) return true
    return this.acknowledged(() => decider.charge(key, cost))
  }

  /** Refuses everything of the key for a while, on all nodes within one sync interval. */
  async block(key: K, duration: Duration): Promise<boolean> {
    const decider = this.prepare(key, 1)
    const ms = durationMs(duration, 'block: duration')
    return this.acknowledged(() => decider.block(key, ms))
  }

  /** Forgets the key, blocks included, on all nodes within one sync interval. */
  async reset(key: K): Promise<boolean> {
    this.prepare(key, 1)
    return this.changing(key, () => this.plans.reset(key))
  }

  /**
   * Changes the numbers while traffic runs, on all nodes within one sync interval. What was counted stays, and quota
   * already leased stays valid until it ends. Nodes that start later take the numbers over from the store.
   *
   * @throws ConfigError `ERR_MISMATCH` where algorithm or window differ
   */
  async setLimit(limit: L): Promise<boolean> {
    this.open()
    const set = await this.acknowledged(() => this.plans.set(limit))
    this.line.wakeAll()
    return set
  }

  private async changing(key: K, act: () => Promise<void>): Promise<boolean> {
    const done = await this.acknowledged(act)
    this.line.wake(lineOf(key))
    return done
  }

  /** True if the store has acknowledged it, false if it is away; throws if `onOutage` is `'throw'`. */
  private async acknowledged(act: () => Promise<void>): Promise<boolean> {
    try {
      await this.changes.add(act())
      return true
    } catch (error) {
      if (!(error instanceof StoreError) || this.settings.onOutage === 'throw') throw error
      return false
    }
  }

  /**
   * Settles all pending now; resolves when the store has acknowledged it.
   *
   * @throws StoreError where it does not, or where it is away and may have lost what it had; what is pending is kept
   */
  async flush(): Promise<void> {
    this.open()
    await this.plans.flush()
  }

  stats(): Stats {
    const { admitted, denied } = this
    return { checks: admitted + denied, admitted, denied, ...this.plans.stats() }
  }

  /**
   * Flushes, unless the store does not answer, and stops timers. The store stays open. What has not left after ten seconds is
   * given up: `stats().pending` tells of it, and calls that wait for it resolve to `false`.
   */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    this.held = undefined
    this.sharded = undefined
    this.several = undefined
    this.reservations.close()
    this.line.wakeAll()
    const { clock } = this.settings
    const ending = clock.setTimer(() => this.plans.end(), LONGEST_CLOSING)
    // What an acquire has taken by now, but has no use for any more, goes back once it is told of that.
    while (!this.changes.isIdle) await this.changes.idle()
    await this.plans.close()
    clock.clearTimer(ending)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A copy: what the caller does with the object later does not concern what was taken. */
function kept<K extends string | ScopeKeys>(key: K): K {
  return typeof key === 'string' ? key : ({ ...(key as ScopeKeys) } as K)
}

function lineOf(key: string | ScopeKeys): string {
  if (typeof key === 'string') return key
  const named = Object.entries(key).filter(([, its]) => its !== undefined)
  return JSON.stringify(named.sort())
}

class LocalLimiter<
  K extends string | ScopeKeys = string,
  L extends Limits | Partial<Scopes> = Limits,
> extends Limiter<K, L> {
  /**
   * Answers from RAM without ever waiting. A check that only the store could decide is denied with the reason `'sync'`,
   * where `check` would wait for it: with `maxOvershoot`, in leased mode, and with small fixed windows that soft nodes
   * share.
   *
   * @throws ConfigError `ERR_KEY`, `ERR_COST`, `ERR_OPTION`, `ERR_MISMATCH`, `ERR_CLOSED`; StoreError only with
   * `onOutage: 'throw'`
   */
  checkSync(key: K, options: CheckOptions<L> = NO_OPTIONS): Decision {
    const held = this.holder(key, options)
    if (held === undefined) return this.checkSyncClosely(key, options)
    const row = held.keys.findRow(key as string)
    if (row < 0) return this.checkSyncClosely(key, options)
    const ready = held.takeReady(row)
    if (ready === undefined) return this.count(held.checkHeldSync(row))
    this.admitted++
    return ready
  }

  private checkSyncClosely(key: K, options: CheckOptions<L>): Decision {
    const ready = this.checkReady(key, options)
    if (ready !== undefined) return this.count(ready)
    checkCheckOptions(options)
    const { cost = 1, limit } = options
    const decider = this.prepare(key, cost, limit)
    return this.count(this.listed(key, decider) ?? this.decideSync(decider, key, cost))
  }
}

export type HardLimiter<
  K extends string | ScopeKeys = string,
  L extends Limits | Partial<Scopes> = Limits,
> = Limiter<K, L>
export type SoftLimiter<
  K extends string | ScopeKeys = string,
  L extends Limits | Partial<Scopes> = Limits,
> = LocalLimiter<K, L>
export type LeasedLimiter<
  K extends string | ScopeKeys = string,
  L extends Limits | Partial<Scopes> = Limits,
> = LocalLimiter<K, L>
/** The limiter of a mode: all but a hard one have `checkSync`. */
export type LimiterOf<
  M extends Mode,
  K extends string | ScopeKeys = string,
  L extends Limits | Partial<Scopes> = Limits,
> = M extends 'hard' ? HardLimiter<K, L> : LocalLimiter<K, L>

/**
 * Makes a limiter.
 *
 * @throws ConfigError where an option is wrong
 * @example
 * ```ts
 * import { createLimiter, slidingWindow } from '@spillway/core'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 1000, window: '1m' }), mode: 'soft' })
 * const decision = await limiter.check('user:42')
 * console.log(decision.allowed, decision.remaining) // true 999
 * await limiter.close()
 * ```
 */
export function createLimiter<M extends Mode = 'hard'>(options: LimiterOptions<M>): LimiterOf<M>
/**
 * Makes a limiter of several scopes: a check has a key for each, and all must allow it or nothing is taken.
 *
 * @throws ConfigError where an option is wrong
 * @example
 * ```ts
 * import { createLimiter, fixedWindow } from '@spillway/core'
 *
 * const limiter = createLimiter({
 *   name: 'search',
 *   scopes: { user: fixedWindow({ limit: 10, window: '1m' }), ip: fixedWindow({ limit: 100, window: '1m' }) },
 * })
 * const decision = await limiter.check({ user: '42', ip: '203.0.113.7' })
 * console.log(decision.allowed, decision.name, decision.remaining) // true user 9
 * ```
 */
export function createLimiter<S extends string, M extends Mode = 'hard'>(
  options: ScopedOptions<S, M>,
): LimiterOf<M, ScopeKeys<S>, Partial<Scopes<S>>>
export function createLimiter(options: LimiterOptions | ScopedOptions<string>): unknown {
  const valid = settings(options)
  const limits = ('scopes' in options ? options.scopes : options.limit) as Limits
  return valid.mode === 'hard' ? new Limiter(valid, limits) : new LocalLimiter(valid, limits)
}
