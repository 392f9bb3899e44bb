import type { Decision } from '@spillway/core'
import { type Awaitable, andThen, isPromise } from './awaitable.ts'
import { failing, failure } from './failure.ts'
import { type HeaderAccess, type HeaderWriter, headerWriters, writeHeaders } from './headers.ts'
import { limitersOf, type RateLimitOptions, type Settings, settings } from './options.ts'
import { type Answer, answerOf, type Refusal, refusalOf, replaced } from './refusal.ts'
import { LazyFacts, type RequestFacts, type RequestSource } from './request-facts.ts'
import type { LimiterKey, RequestLimiter } from './request-limiter.ts'
import { type Standing, standingsOf, withBack } from './standing.ts'
import { storableKey } from './storable-key.ts'
import { giveBack, isCounted, type Taking, type Terms, take, takeInTurn } from './taking.ts'

/** What to do with a limited request. */
export class Verdict {
  constructor(
    readonly standings: readonly Standing[],
    /** The answer to send in place of the handler's; undefined if the handler should run. */
    readonly answer?: Answer,
    /** Set if a limit refused the request, even if `dryRun` lets it pass. */
    readonly refusal?: Refusal,
    /** The client hung up while waiting for its turn: neither handler nor answer is of use. */
    readonly gone = false,
  ) {}
}

/** How an adapter goes on if its framework continues by a callback (`next`). Made once, not per request. */
export interface Course<Req, Res, Next> {
  /** Returns whether the handler should run. */
  carryOut(limit: RateLimit<Req, Res>, verdict: Verdict | undefined, response: Res): boolean
  goOn(request: Req, response: Res, next: Next): void
  failed(error: unknown, request: Req, response: Res, next: Next): void
}

/** A request on its way through the limit. */
interface Passage<Req, Res> {
  readonly facts: LazyFacts<Req, Res>
  readonly key: LimiterKey
  readonly terms: Terms
}

/**
 * The limit behind an adapter: decides each request, whatever the framework. The adapter tells where its framework
 * keeps the facts (`source`), and carries out the verdict.
 */
export class RateLimit<Req, Res> {
  private readonly settings: Settings<Req>
  private readonly writers: readonly HeaderWriter[]

  /**
   * @param own the names of the adapter's own options
   * @throws ConfigError `ERR_OPTION`
   */
  constructor(
    options: RateLimitOptions<Req>,
    private readonly source: RequestSource<Req, Res>,
    own?: readonly string[],
  ) {
    this.settings = settings(options, own)
    this.writers = headerWriters(this.settings.headers)
  }

  /**
   * Decides, and waits for a leaky bucket's turn. Makes no promise or closure unless a limiter or one of the options'
   * functions needs one. Undefined: the request is not limited.
   */
  private admit(request: Req, response: Res): Awaitable<Verdict | undefined> {
    const { skip, addresses } = this.settings
    const facts = new LazyFacts(this.source, addresses, request, response)
    if (skip === undefined) return this.choose(facts)
    return later(facts, skip(request, facts), (skipped) => (skipped ? undefined : this.choose(facts)))
  }

  /**
   * Calls `next` with the verdict, at once if there is no promise. Errors of the options' functions and of limiters are
   * passed on, always as objects.
   */
  admitAnd<R>(
    request: Req,
    response: Res,
    next: (verdict: Verdict | undefined) => Awaitable<R>,
  ): Awaitable<R> {
    let verdict: Awaitable<Verdict | undefined>
    try {
      verdict = this.admit(request, response)
    } catch (error) {
      throw failure(error)
    }
    return isPromise(verdict) ? verdict.then(next, failing) : next(verdict)
  }

  /** As `admitAnd`, for frameworks that continue by a callback. */
  admitThen<Next>(request: Req, response: Res, next: Next, course: Course<Req, Res, Next>): void {
    let verdict: Awaitable<Verdict | undefined>
    try {
      verdict = this.admit(request, response)
    } catch (error) {
      course.failed(failure(error), request, response, next)
      return
    }
    if (verdict === undefined || verdict instanceof Verdict)
      this.decided(verdict, request, response, next, course)
    else this.awaitThen(verdict, request, response, next, course)
  }

  private awaitThen<Next>(
    pending: PromiseLike<Verdict | undefined>,
    request: Req,
    response: Res,
    next: Next,
    course: Course<Req, Res, Next>,
  ): void {
    pending.then(
      (verdict) => this.decided(verdict, request, response, next, course),
      (error: unknown) => course.failed(failure(error), request, response, next),
    )
  }

  /** An answer that can't be written fails like an error of the options' functions. */
  private decided<Next>(
    verdict: Verdict | undefined,
    request: Req,
    response: Res,
    next: Next,
    course: Course<Req, Res, Next>,
  ): void {
    let runs: boolean
    try {
      runs = course.carryOut(this, verdict, response)
    } catch (error) {
      course.failed(failure(error), request, response, next)
      return
    }
    if (runs) course.goOn(request, response, next)
  }

  private choose(facts: LazyFacts<Req, Res>): Awaitable<Verdict | undefined> {
    const { limiters, chooseLimiters, plan } = this.settings
    if (limiters !== undefined) return this.name(limiters, facts)
    return later(facts, chooseLimiters?.(facts.request, facts), (chosen) =>
      chosen === undefined ? undefined : this.name(limitersOf(chosen, plan), facts),
    )
  }

  private name(
    limiters: readonly RequestLimiter[],
    facts: LazyFacts<Req, Res>,
  ): Awaitable<Verdict | undefined> {
    const key = this.settings.key(facts.request, facts)
    if (isPromise(key)) return later(facts, key, (key) => this.price(limiters, facts, key))
    return this.price(limiters, facts, key)
  }

  private price(
    limiters: readonly RequestLimiter[],
    facts: LazyFacts<Req, Res>,
    key: LimiterKey | undefined,
  ): Awaitable<Verdict | undefined> {
    if (key === undefined) return undefined
    const { cost } = this.settings
    if (typeof cost === 'number') return this.plan(limiters, facts, key, cost)
    return later(facts, cost(facts.request, facts), (cost) => this.plan(limiters, facts, key, cost))
  }

  private plan(
    limiters: readonly RequestLimiter[],
    facts: LazyFacts<Req, Res>,
    key: LimiterKey,
    cost: number,
  ): Awaitable<Verdict> {
    const { plan } = this.settings
    if (plan === undefined) return this.ask(limiters, facts, key, cost === 1 ? undefined : { cost })
    return later(facts, plan(facts.request, facts), (limit) =>
      this.ask(limiters, facts, key, { cost, limit }),
    )
  }

  private ask(
    limiters: readonly RequestLimiter[],
    facts: LazyFacts<Req, Res>,
    key: LimiterKey,
    terms: Terms,
  ): Awaitable<Verdict> {
    const stored = storableKey(key)
    if (limiters.length === 1) return this.askOne(limiters[0] as RequestLimiter, facts, stored, terms)
    const passage = { facts, key: stored, terms }
    const takings = takeInTurn(limiters, stored, terms)
    if (Array.isArray(takings)) return this.judge(takings, passage)
    this.meetForRefusal(facts)
    return (takings as PromiseLike<readonly Taking[]>).then((takings) => this.judge(takings, passage))
  }

  private askOne(
    limiter: RequestLimiter,
    facts: LazyFacts<Req, Res>,
    key: LimiterKey,
    terms: Terms,
  ): Awaitable<Verdict> {
    const decision = take(limiter, key, terms)
    if (isPromise(decision)) {
      this.meetForRefusal(facts)
      return decision.then((decision) => this.judgeOne(limiter, decision, facts, key, terms))
    }
    return this.judgeOne(limiter, decision, facts, key, terms)
  }

  /** Looks up the address early if `onDenied` or `response` may ask for it: by then the client may be gone. */
  private meetForRefusal(facts: LazyFacts<Req, Res>): void {
    if (this.settings.onDenied !== undefined || this.settings.response !== undefined) facts.meet()
  }

  /** The path of nearly all requests: an allowed one allocates nothing but its standings. */
  private judgeOne(
    limiter: RequestLimiter,
    decision: Decision,
    facts: LazyFacts<Req, Res>,
    key: LimiterKey,
    terms: Terms,
  ): Awaitable<Verdict> {
    if (decision.allowed && decision.delayMs === 0) return new Verdict(standingsOf(limiter, decision))
    return this.judge([{ limiter, decision }], { facts, key, terms })
  }

  /** Writes a verdict's headers. */
  writeHeaders<To>({ standings, answer, refusal }: Verdict, to: To, headers: HeaderAccess<To>): void {
    writeHeaders(this.writers, standings, to, headers, this.settings.clock)
    const retryAfter = answer && refusal?.retryAfter
    if (retryAfter !== undefined) headers.set(to, 'retry-after', String(retryAfter))
  }

  private judge(takings: readonly Taking[], passage: Passage<Req, Res>): Awaitable<Verdict> {
    const last = takings[takings.length - 1] as Taking
    if (!last.decision.allowed) return this.refuse(last, takings.slice(0, -1), passage)
    const standings = takings.flatMap(({ limiter, decision }) => standingsOf(limiter, decision))
    let delay = 0
    for (const { decision } of takings) delay = Math.max(delay, decision.delayMs)
    if (delay === 0 || this.settings.dryRun) return new Verdict(standings)
    return this.turn(delay, passage).then(async (came) => {
      if (!came) await giveBack(takings, passage.key, passage.terms)
      return new Verdict(standings, undefined, undefined, !came)
    })
  }

  /** Resolves to whether the turn came; false if the client hung up first. */
  private turn(delayMs: number, { facts }: Passage<Req, Res>): Promise<boolean> {
    const { clock } = this.settings
    const { request, response } = facts
    return new Promise((resolve) => {
      const timer = clock.setTimer(() => {
        stop()
        resolve(true)
      }, delayMs)
      const stop = this.source.onHangUp(request, response, () => {
        clock.clearTimer(timer)
        resolve(false)
      })
    })
  }

  private refuse(
    denied: Taking,
    others: readonly Taking[],
    { facts, key, terms }: Passage<Req, Res>,
  ): Awaitable<Verdict> {
    const { dryRun, onDenied } = this.settings
    const { request } = facts
    const refusal = refusalOf(key, denied.limiter.name, denied.decision)
    const standings = [
      ...others.flatMap(({ limiter, decision }) =>
        standingsOf(limiter, decision).map((standing) =>
          isCounted(decision) ? withBack(standing, terms?.cost ?? 1) : standing,
        ),
      ),
      ...standingsOf(denied.limiter, denied.decision),
    ]
    const givenBack = others.length > 0 ? giveBack(others, key, terms) : undefined
    return andThen(givenBack, () =>
      andThen(dryRun ? this.tell(refusal, request, facts) : onDenied?.(refusal, request, facts), () =>
        andThen(
          dryRun ? undefined : this.answer(refusal, request, facts),
          (answer) => new Verdict(standings, answer, refusal),
        ),
      ),
    )
  }

  /** With `dryRun` the request neither waits for `onDenied` nor fails with it. */
  private tell(refusal: Refusal, request: Req, facts: RequestFacts): void {
    try {
      const told = this.settings.onDenied?.(refusal, request, facts)
      if (isPromise(told)) told.then(undefined, printed)
    } catch (error) {
      printed(error)
    }
  }

  private answer(refusal: Refusal, request: Req, facts: RequestFacts): Awaitable<Answer> {
    const standard = answerOf(refusal)
    const { response } = this.settings
    if (response === undefined) return standard
    return andThen(response(refusal, request, facts), (own) => replaced(standard, own))
  }
}

/** As `andThen`, but looks up the address before it waits: by then the client may be gone. */
function later<T, R>(
  facts: { meet(): void },
  value: Awaitable<T>,
  next: (value: T) => Awaitable<R>,
): Awaitable<R> {
  if (isPromise(value)) facts.meet()
  return andThen(value, next)
}

function printed(error: unknown): void {
  console.error(failure(error))
}
