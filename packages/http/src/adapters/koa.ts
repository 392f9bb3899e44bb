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
 * Where @koa/router leaves the pattern. In `router.use` it is that of the middleware, the same for all routes: the first
 * route that takes the method answers.
 */
function routeOf({ _matchedRoute, matched, method }: Context): string | undefined {
  if (_matchedRoute === undefined) return undefined
  const layers: { path: unknown; methods: string[] }[] = matched ?? []
  const isMiddlewares = layers.some(({ path, methods }) => methods.length === 0 && path === _matchedRoute)
  const route = isMiddlewares ? layers.find(({ methods }) => methods.includes(method))?.path : _matchedRoute
  return route === undefined ? undefined : String(route)
}

/** Once they are sent, Koa leaves them as they are. */
const koaHeaders: HeaderAccess<Context> = {
  get: ({ res }, name) => nodeHeaders.get(res, name),
  set: (context, name, value) => context.set(name, value),
}

/**
 * Limits requests of Koa. What goes wrong, such as a `key` that throws, rejects as an error of any middleware does.
 *
 * @throws ConfigError `ERR_OPTION` where an option is wrong
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
