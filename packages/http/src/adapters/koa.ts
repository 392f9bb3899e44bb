import type { Context, Middleware } from 'koa'
import type { HeaderAccess } from '../headers.ts'
import { endWhereItIs, nodeHeaders, nodeSource } from '../node-response.ts'
import type { RateLimitOptions } from '../options.ts'
import { RateLimit, type Verdict } from '../rate-limit.ts'
import { written } from '../refusal.ts'
import type { RequestSource } from '../request-facts.ts'

const koaSource: RequestSource<Context, Context> = {
  peer: ({ req }) => nodeSource.peer(req),
  header: ({ req }, name) => nodeSource.header(req, name),
  method: ({ method }) => method,
  route: routeOf,
  onHangUp: ({ req, res }, _, listener) => nodeSource.onHangUp(req, res, listener),
}

/**
 * @koa/router leaves the matched pattern in `_matchedRoute`. In `router.use` that is the middleware's pattern, the same
 * for all routes: then the first route that takes the method is the one that answers.
 */
function routeOf({ _matchedRoute, matched, method }: Context): string | undefined {
  if (_matchedRoute === undefined) return undefined
  const layers: { path: unknown; methods: string[] }[] = matched ?? []
  const isMiddlewares = layers.some(({ path, methods }) => methods.length === 0 && path === _matchedRoute)
  const route = isMiddlewares ? layers.find(({ methods }) => methods.includes(method))?.path : _matchedRoute
  return route === undefined ? undefined : String(route)
}

/** Koa ignores headers set after they were sent; Node would throw. */
const koaHeaders: HeaderAccess<Context> = {
  get: ({ res }, name) => nodeHeaders.get(res, name),
  set: (context, name, value) => context.set(name, value),
}

/**
 * Limits requests in Koa. Errors, such as one that `key` throws, reject as in any middleware.
 *
 * @throws ConfigError `ERR_OPTION` if an option is wrong
 * @example
 * ```ts
 * import Koa from 'koa'
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { rateLimit } from '@spillway/http/koa'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 * const app = new Koa()
 * app.use(rateLimit({ limiter }))
 * ```
 */
export function rateLimit(options: RateLimitOptions<Context>): Middleware {
  const limit = new RateLimit(options, koaSource)
  return (context, next) =>
    limit.admitAnd(context, context, (verdict) => (carryOut(limit, verdict, context) ? next() : undefined))
}

function carryOut(
  limit: RateLimit<Context, Context>,
  verdict: Verdict | undefined,
  context: Context,
): boolean {
  if (verdict === undefined) return true
  if (verdict.gone) return false
  limit.writeHeaders(verdict, context, koaHeaders)
  if (verdict.answer === undefined) return true
  if (context.headerSent) {
    context.respond = false
    endWhereItIs(context.res)
    return false
  }
  const { headers, body } = written(verdict.answer)
  context.status = verdict.answer.status
  context.body = body
  context.set(headers)
  return false
}
