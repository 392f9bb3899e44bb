import { EventEmitter } from 'node:events'
import type { Limit } from './algorithms/algorithm.ts'
import type { Checks, Stats } from './checks.ts'
import type { Timer } from './clock.ts'
import { Decision } from './decision.ts'
import { type Duration, durationMs } from './duration.ts'
import { AcquireError, ConfigError, StoreError, show } from './errors.ts'
import { HardChecks } from './hard/hard-checks.ts'
import { checkKey } from './key.ts'
import { Link } from './link.ts'
import { LocalChecks } from './local/local-checks.ts'
import {
  checkCallOptions,
  checkCost,
  type LimiterOptions,
  type Mode,
  type Settings,
  settings,
} from './options.ts'
import type { Operation, Snapshot } from './store/store.ts'

export interface CheckOptions {
  /** A positive integer; default 1. */
  cost?: number | undefined
}

export interface AcquireOptions extends CheckOptions {
  /** Stops waiting; what was taken is given back. */
  signal?: AbortSignal | undefined
  /** The longest to wait; default: for ever. */
  maxWait?: Duration | undefined
}

/** Where a check is given none: made once, not for each. */
const NO_OPTIONS: CheckOptions = {}

/** What a user holds. All methods but `checkSync` and `stats` return promises, and reject rather than throw. */
class Limiter {
  private readonly events = new EventEmitter()
  private readonly link: Link
  protected readonly checks: Checks
  private closed = false
  private admitted = 0
  private denied = 0

  constructor(protected readonly settings: Settings) {
    const { store, name, limit, clock, random } = settings
    // In a microtask, so that a listener's error is not taken for the check's.
    const changed = (away: boolean) => queueMicrotask(() => this.events.emit(away ? 'degraded' : 'recovered'))
    this.link = new Link(store.open(name, limit), clock, random, changed)
    this.checks =
      settings.mode === 'hard' ? new HardChecks(this.link, settings) : new LocalChecks(this.link, settings)
  }

  get name(): string {
    return this.settings.name
  }

  get limit(): Limit {
    return this.settings.limit
  }

  /** Calls back when the store goes away (`'degraded'`) or is back (`'recovered'`); returns how to stop it. */
  on(event: 'degraded' | 'recovered', listener: () => void): () => void {
    this.events.on(event, listener)
    return () => this.events.off(event, listener)
  }

  protected prepare(key: unknown, cost: unknown): asserts key is string {
    this.open()
    checkKey(key)
    checkCost(cost)
  }

  private open(): void {
    if (!this.closed) return
    throw new ConfigError(
      'ERR_CLOSED',
      `the limiter ${show(this.settings.name)} is closed: create another one`,
    )
  }

  protected count(decision: Decision): Decision {
    if (decision.allowed) this.admitted++
    else this.denied++
    return decision
  }

  /**
   * Takes `cost` if the limit allows it; a refused check takes nothing.
   *
   * @throws ConfigError `ERR_KEY`, `ERR_COST`, `ERR_CLOSED`; StoreError only with `onOutage: 'throw'`
   */
  async check(key: string, options: CheckOptions = NO_OPTIONS): Promise<Decision> {
    checkCallOptions(options)
    const { cost = 1 } = options
    this.prepare(key, cost)
    const answer = this.checks.check(key, cost)
    return this.count(answer instanceof Decision ? answer : await answer)
  }

  /** The decision that a check of cost 1 would get, taking nothing. */
  async peek(key: string): Promise<Decision> {
    this.prepare(key, 1)
    return this.checks.peek(key)
  }

  /**
   * Waits until the cost is allowed, and with a leaky bucket until its turn has come.
   *
   * @throws AcquireError `ERR_MAX_WAIT` where that would be past `maxWait`, `ERR_NEVER` where the cost is above the
   * limit; the signal's reason on abort. Nothing stays taken then.
   */
  async acquire(key: string, options: AcquireOptions = {}): Promise<Decision> {
    checkCallOptions(options)
    const { signal, maxWait, cost = 1 } = options
    this.prepare(key, cost)
    const { clock } = this.settings
    const last = maxWait === undefined ? Infinity : clock.monotonic() + durationMs(maxWait, 'maxWait')
    for (;;) {
      signal?.throwIfAborted()
      const decision = await this.check(key, { cost })
      const wait = decision.allowed ? decision.delayMs : decision.retryAfterMs
      const late = clock.monotonic() + wait > last
      if (decision.allowed && (late || signal?.aborted)) await this.giveBack(key, cost)
      signal?.throwIfAborted()
      if (wait === Infinity) {
        throw new AcquireError(
          'ERR_NEVER',
          `a cost of ${cost} is above the limit of ${decision.limit}: ask for less`,
        )
      }
      if (late)
        throw new AcquireError('ERR_MAX_WAIT', `${show(key)} would have to wait ${wait} ms, past maxWait`)
      if (wait > 0) {
        await this.pause(wait, signal).catch(async (reason) => {
          if (decision.allowed) await this.giveBack(key, cost)
          throw reason
        })
      }
      if (decision.allowed) return decision
    }
  }

  /** What a given-up `acquire` took, also on a limiter closed meanwhile; with the store away it stays taken. */
  private async giveBack(key: string, cost: number): Promise<void> {
    await this.checks.refund(key, cost).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
    })
  }

  private pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.settings
    return new Promise((resolve, reject) => {
      let timer: Timer
      const abort = () => {
        clock.clearTimer(timer)
        reject(signal?.reason)
      }
      timer = clock.setTimer(() => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** Gives cost back to the current window or bucket, clamped at zero usage; of a log, the newest entries first. */
  async refund(key: string, cost = 1): Promise<boolean> {
    this.prepare(key, cost)
    return this.acknowledged(() => this.checks.refund(key, cost))
  }

  /** Refuses everything of the key for a while, on all nodes within one sync interval. */
  async block(key: string, duration: Duration): Promise<boolean> {
    this.prepare(key, 1)
    const ms = durationMs(duration, 'block: duration')
    return this.acknowledged(() => this.verb(['block', key, ms]))
  }

  /** Forgets the key, blocks included, on all nodes within one sync interval. */
  async reset(key: string): Promise<boolean> {
    this.prepare(key, 1)
    const resume = this.checks.suspend(key)
    return this.acknowledged(() => this.verb(['reset', key])).finally(resume)
  }

  private async verb(operation: Operation): Promise<void> {
    const deadline = this.settings.clock.monotonic() + this.settings.timeout
    const { results } = await this.link.exchange([operation], deadline, { once: true })
    this.checks.learn(results[0] as Snapshot)
  }

  /** True when the store has acknowledged it, false when it is away; an error where `onOutage` is to throw. */
  private async acknowledged(act: () => Promise<void>): Promise<boolean> {
    try {
      await act()
      return true
    } catch (error) {
      if (!(error instanceof StoreError) || this.settings.onOutage === 'throw') throw error
      return false
    }
  }

  /**
   * Settles all pending now; resolves when the store has acknowledged it.
   *
   * @throws StoreError where it does not; what is pending is kept
   */
  async flush(): Promise<void> {
    this.open()
    await this.checks.flush()
  }

  stats(): Stats {
    const { admitted, denied, link } = this
    return {
      checks: admitted + denied,
      admitted,
      denied,
      storeCalls: link.calls,
      storeEntries: link.entries,
      degraded: link.away,
      ...this.checks.stats(),
    }
  }

  /** Flushes, unless the store does not answer, and stops timers. The store stays open. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.checks.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

class LocalLimiter extends Limiter {
  /**
   * Answers from RAM without ever waiting. With `maxOvershoot`, and in leased mode, a check that only the store could
   * decide is denied with the reason `'sync'`; `check` waits for it.
   *
   * @throws ConfigError `ERR_KEY`, `ERR_COST`, `ERR_CLOSED`; StoreError only with `onOutage: 'throw'`
   */
  checkSync(key: string, options: CheckOptions = NO_OPTIONS): Decision {
    checkCallOptions(options)
    const { cost = 1 } = options
    this.prepare(key, cost)
    return this.count((this.checks as LocalChecks).checkSync(key, cost))
  }
}

export type HardLimiter = Limiter
export type SoftLimiter = LocalLimiter
export type LeasedLimiter = LocalLimiter
/** The limiter of a mode: all but a hard one have `checkSync`. */
export type LimiterOf<M extends Mode> = M extends 'hard' ? HardLimiter : LocalLimiter

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
export function createLimiter<M extends Mode = 'hard'>(options: LimiterOptions<M>): LimiterOf<M> {
  const valid = settings(options)
  return (valid.mode === 'hard' ? new Limiter(valid) : new LocalLimiter(valid)) as LimiterOf<M>
}
