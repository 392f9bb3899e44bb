import { ConfigError } from '@spillway/core'
import type { Context, Env, MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { tellsWithoutPeer } from '../client-address.ts'
import { optionError } from '../option-error.ts'
import { checkOptions, type RateLimitOptions } from '../options.ts'
import { RateLimit, type Verdict } from '../rate-limit.ts'
import { written } from '../refusal.ts'
import type { RequestSource } from '../request-facts.ts'
import {
  contentOf,
  type NodeBindings,
  onGone,
  unreadResponse,
  webHeaders,
  withHeaders,
} from '../web-response.ts'

export interface HonoRateLimitOptions<E extends Env = Env> extends RateLimitOptions<Context<E>> {
  /**
   * The address at the other end of the connection. Known by default on `@hono/node-server`; elsewhere give
   * `(context) => getConnInfo(context).remote.address` with your platform's `getConnInfo`.
   */
  peer?: ((context: Context<E>) => string | undefined) | undefined
}

/**
 * Limits requests in Hono. Errors, such as one that `key` throws, go to `app.onError`.
 *
 * @throws ConfigError `ERR_OPTION` if an option is wrong
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { byApiKey } from '@spillway/http'
 * import { rateLimit } from '@spillway/http/hono'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 * const app = new Hono()
 * app.use(rateLimit({ limiter, key: byApiKey() }))
 * app.get('/', (context) => context.text('hello'))
 * const response = await app.request('/', { headers: { 'x-api-key': 'k1' } })
 * console.log(response.headers.get('ratelimit')) // "api";r=99;t=60
 * ```
 */
export function rateLimit<E extends Env = Env>(options: HonoRateLimitOptions<E>): MiddlewareHandler<E> {
  checkOptions(options)
  const limit = new RateLimit<Context<E>, undefined>(options, sourceOf(options), ['peer'])
  // Hono's type requires a promise, but its dispatch also accepts a plain value.
  return ((context, next) =>
    limit.admitAnd(context, undefined, (verdict) => {
      if (verdict === undefined) return next()
      if (verdict.gone) return unreadResponse()
      if (verdict.answer !== undefined) return refuse(limit, verdict, context)
      // Set after the handler ran: a Response that the handler made itself would not get headers set before.
      return next().then(() => {
        const response = withHeaders(context.res, (headers) =>
          limit.writeHeaders(verdict, headers, webHeaders),
        )
        if (response === context.res) return
        context.res = undefined
        context.res = response
      })
    })) as MiddlewareHandler<E>
}

function refuse<E extends Env>(
  limit: RateLimit<Context<E>, undefined>,
  verdict: Verdict,
  context: Context<E>,
): Response {
  const { status } = verdict.answer!
  const { headers, body } = written(verdict.answer!)
  const content = contentOf(status, context.req.method, body)
  const response = context.body(content as string, status as ContentfulStatusCode, headers)
  return withHeaders(response, (written) => {
    limit.writeHeaders(verdict, written, webHeaders)
    // The answer's own headers win, as in every adapter.
    for (const name of Object.keys(headers)) if (isLimits(name)) written.set(name, headers[name] as string)
  })
}

/** Whether the limit writes this header too. */
const isLimits = (name: string) => /^(retry-after$|(x-)?ratelimit)/i.test(name)

function sourceOf<E extends Env>({
  peer,
  trustProxy,
}: HonoRateLimitOptions<E>): RequestSource<Context<E>, undefined> {
  if (peer !== undefined && typeof peer !== 'function') throw optionError('peer', peer, 'give a function')
  const isTrusting = tellsWithoutPeer(trustProxy)
  return {
    peer: (context) => (peer ? peer(context) : nodePeer(context, isTrusting)),
    header: (context, name) => context.req.header(name),
    method: (context) => context.req.method,
    route: routeOf,
    onHangUp: ({ req, env }, _, listener) => onGone(req.raw.signal, env, listener),
  }
}

/**
 * Guesses the pattern of the route that will answer, among those that match from here on: Hono does not tell it
 * beforehand, and a catch-all for files at the end matches every request. Middleware is listed as `ALL`. The first
 * route without a wildcard answers; of wildcards, as for a cache or files, the longest says most.
 */
function routeOf<E extends Env>(context: Context<E>): string | undefined {
  const from = matchedRoutes(context).slice(context.req.routeIndex)
  const exact = from.filter(({ path }) => !path.endsWith('*'))
  const route = exact.find(({ method }) => method !== 'ALL') ?? exact.at(-1)
  if (route !== undefined) return route.path
  const own = from.filter(({ method }) => method !== 'ALL')
  const wild = own.length > 0 ? own : from
  return wild.reduce<string | undefined>(
    (longest, { path }) => (longest === undefined || path.length > longest.length ? path : longest),
    undefined,
  )
}

function nodePeer(context: { env: unknown }, isTrusting: boolean): string | undefined {
  const { incoming } = (context.env ?? {}) as Partial<NodeBindings>
  if (incoming !== undefined || isTrusting) return incoming?.socket?.remoteAddress
  throw new ConfigError(
    'ERR_OPTION',
    "the client's address is not known here: give `peer: (context) => getConnInfo(context).remote.address` with your platform's getConnInfo, or how many proxies there are as trustProxy, or another key",
  )
}
