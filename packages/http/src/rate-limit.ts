import { type Awaitable, andThen } from './awaitable.ts'
import { type ResponseHeaders, writeHeaders } from './headers.ts'
import { limitersOf, type RateLimitOptions, type Settings, settings } from './options.ts'
import { type Answer, answerOf, type Refusal, refusalOf } from './refusal.ts'
import { LazyFacts, type RequestFacts, type RequestSource } from './request-facts.ts'
import type { RequestLimiter } from './request-limiter.ts'
import { type Standing, standingsOf } from './standing.ts'
import { storableKey } from './storable-key.ts'
import { giveBack, type Taking, takeInTurn } from './taking.ts'

/** What is to become of a limited request. */
export interface Verdict {
  readonly standings: readonly Standing[]
  /** The answer to send in place of the handler's; undefined where the handler is to run. */
  readonly answer: Answer | undefined
  /** Of a request that a limit refused, also where `dryRun` lets it pass. */
  readonly refusal: Refusal | undefined
  /** The client hung up while its turn was awaited: neither handler nor answer is of use. */
  readonly gone: boolean
}

/** A request on its way through the limit. */
interface Passage<Req, Res> {
  readonly request: Req
  readonly response: Res
  readonly facts: RequestFacts
  readonly key: string
  readonly cost: number
}

/**
 * The limit of an adapter: what becomes of each request, whatever the framework. The adapter tells where its
 * framework keeps things (`source`), and carries the verdict out.
 */
export class RateLimit<Req, Res> {
  private readonly settings: Settings<Req>

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
  }

  /**
   * Decides, and waits for a leaky bucket's turn. Without a promise where the limiters and the functions of the options
   * need none. Undefined: the request is not limited. What the options' functions or the limiters throw comes out.
   */
  admit(request: Req, response: Res): Awaitable<Verdict | undefined> {
    const { settings, source } = this
    const facts = new LazyFacts(source, settings.addresses, request, response)
    return andThen(settings.skip?.(request, facts) ?? false, (skipped) => {
      if (skipped) return undefined
      return andThen(this.limiters(request, facts), (limiters) => {
        if (limiters === undefined) return undefined
        return andThen(settings.key(request, facts), (key) => {
          if (key === undefined) return undefined
          return andThen(this.cost(request, facts), (cost) => {
            const passage = { request, response, facts, key: storableKey(key), cost }
            return andThen(takeInTurn(limiters, passage.key, cost), (takings) => this.judge(takings, passage))
          })
        })
      })
    })
  }

  /** Writes a verdict's headers. */
  writeHeaders({ standings, answer, refusal }: Verdict, headers: ResponseHeaders): void {
    const { settings } = this
    writeHeaders(settings.headers, standings, headers, () => settings.clock.wall())
    const retryAfter = answer && refusal?.retryAfter
    if (retryAfter !== undefined) headers.set('Retry-After', String(retryAfter))
  }

  private limiters(request: Req, facts: RequestFacts): Awaitable<readonly RequestLimiter[] | undefined> {
    const { limiters, chooseLimiters } = this.settings
    if (chooseLimiters === undefined) return limiters
    return andThen(chooseLimiters(request, facts), (chosen) =>
      chosen === undefined ? undefined : limitersOf(chosen),
    )
  }

  private cost(request: Req, facts: RequestFacts): Awaitable<number> {
    const { cost } = this.settings
    return typeof cost === 'number' ? cost : cost(request, facts)
  }

  private judge(takings: readonly Taking[], passage: Passage<Req, Res>): Awaitable<Verdict> {
    const last = takings[takings.length - 1] as Taking
    if (!last.decision.allowed) return this.refuse(last, takings.slice(0, -1), passage)
    const standings: Standing[] = []
    let delay = 0
    for (const { limiter, decision } of takings) {
      standings.push(...standingsOf(limiter, decision))
      delay = Math.max(delay, decision.delayMs)
    }
    const verdict = { standings, answer: undefined, refusal: undefined, gone: false }
    if (delay === 0 || this.settings.dryRun) return verdict
    return this.turn(delay, passage).then(async (came) => {
      if (!came) await giveBack(takings, passage.key, passage.cost)
      return { ...verdict, gone: !came }
    })
  }

  /** Whether the turn came; false if the client hung up before. */
  private turn(delayMs: number, { request, response }: Passage<Req, Res>): Promise<boolean> {
    const { clock } = this.settings
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
    { request, facts, key, cost }: Passage<Req, Res>,
  ): Awaitable<Verdict> {
    const { dryRun, onDenied } = this.settings
    const refusal = refusalOf(key, denied.limiter.name, denied.decision)
    const standings = [
      ...others.flatMap(({ limiter, decision }) =>
        standingsOf(limiter, decision).map((standing) => ({
          ...standing,
          remaining: standing.remaining + cost,
        })),
      ),
      ...standingsOf(denied.limiter, denied.decision),
    ]
    const givenBack = others.length > 0 ? giveBack(others, key, cost) : undefined
    return andThen(givenBack, () =>
      andThen(onDenied?.(refusal, request, facts), () =>
        andThen(dryRun ? undefined : this.answer(refusal, request, facts), (answer) => {
          return { standings, answer, refusal, gone: false }
        }),
      ),
    )
  }

  private answer(refusal: Refusal, request: Req, facts: RequestFacts): Awaitable<Answer> {
    const standard = answerOf(refusal)
    const { response } = this.settings
    if (response === undefined) return standard
    return andThen(response(refusal, request, facts), (own) => replaced(standard, own))
  }
}

/** An own body does not go out as problem details. */
function replaced(standard: Answer, { status = standard.status, headers, body }: Partial<Answer>): Answer {
  return {
    status,
    headers: headers ?? (body === undefined ? standard.headers : {}),
    body: body ?? standard.body,
  }
}
