import type {
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  onRequestHookHandler,
  RegisterOptions,
} from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { HeaderAccess } from '../headers.ts'
import { endWhereItIs, headerText, nodeSource } from '../node-response.ts'
import { optionError } from '../option-error.ts'
import { checkDiffering, differingOptions, type RateLimitOptions } from '../options.ts'
import { type Course, RateLimit, type Verdict } from '../rate-limit.ts'
import { takesBody, written } from '../refusal.ts'
import type { RequestSource } from '../request-facts.ts'

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

/** What Fastify prints of an instance without any. */
const NO_ROUTES = '(empty tree)'

export type FastifyRouteRateLimit = Partial<RateLimitOptions<FastifyRequest>>

export interface FastifyRateLimitOptions extends FastifyRouteRateLimit {
  /** When to decide; default `'onRequest'`, the earliest. Later where `key` needs what comes later, such as the body. */
  hook?: (typeof HOOKS)[number] | undefined
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's own rate limit, beside what @fastify/rate-limit may call `rateLimit`: options that differ from the plugin's, or false for none. */
    spillway?: FastifyRouteRateLimit | false
  }
}

const fastifySource: RequestSource<FastifyRequest, FastifyReply> = {
  peer: ({ raw }) => nodeSource.peer(raw),
  header: ({ raw }, name) => nodeSource.header(raw, name),
  method: ({ method }) => method,
  route: ({ routeOptions }) => routeOptions.url ?? 'unmatched',
  onHangUp: ({ raw }, reply, listener) => nodeSource.onHangUp(raw, reply.raw, listener),
}

/** Through the reply, which hands Node all headers at once: written to Node's response one by one they cost twice as much. */
const replyHeaders: HeaderAccess<FastifyReply> = {
  get: (reply, name) => headerText(reply.getHeader(name)),
  set: (reply, name, value) => reply.header(name, value),
}

type FastifyRateLimit = RateLimit<FastifyRequest, FastifyReply>
type GoOn = (error?: Error) => void

const course: Course<FastifyRequest, FastifyReply, GoOn> = {
  carryOut,
  goOn(_request, _reply, goOn) {
    goOn()
  },
  failed(error, _request, _reply, goOn) {
    goOn(error as Error)
  },
}

const plugin: FastifyPluginAsync<FastifyRateLimitOptions> = async (
  fastify,
  { hook = 'onRequest', ...options },
) => {
  const shared = withoutFastifys(options)
  if (!HOOKS.includes(hook)) throw optionError('hook', hook, `give one of ${HOOKS.join(', ')}`)
  const general = shared.limiter === undefined ? undefined : compile(shared)
  const own = new Map<FastifyRouteRateLimit, FastifyRateLimit>()
  // Routes that were there before are not told of. A request is asked for its route's options only where some differ:
  // Fastify makes an object of them each time.
  let someRoutesDiffer = fastify.printRoutes() !== NO_ROUTES

  fastify.addHook('onRoute', ({ config }) => {
    const differing = config?.spillway
    if (differing === undefined) return
    someRoutesDiffer = true
    if (differing !== false) ownOf(differing)
  })

  const ownOf = (differing: FastifyRouteRateLimit): FastifyRateLimit => {
    let limit = own.get(differing)
    if (limit === undefined) {
      checkDiffering('config.spillway', differing)
      limit = compile(differingOptions(shared, differing))
      own.set(differing, limit)
    }
    return limit
  }

  const limitOf = (request: FastifyRequest): FastifyRateLimit | undefined => {
    const differing = someRoutesDiffer ? request.routeOptions.config?.spillway : undefined
    if (differing === undefined) return general
    return differing === false ? undefined : ownOf(differing)
  }
  // Where a handler says that there is nothing (`reply.callNotFound`), as for a file, Fastify runs this hook once more.
  const decided = hook === 'preHandler' ? new WeakSet<FastifyRequest>() : undefined
  const decide = (request: FastifyRequest, reply: FastifyReply, goOn: GoOn) => {
    if (decided?.has(request)) return goOn()
    decided?.add(request)
    const limit = limitOf(request)
    if (limit === undefined) goOn()
    else limit.admitThen(request, reply, goOn, course)
  }
  if (hook === 'preParsing') fastify.addHook(hook, (request, reply, _, goOn) => decide(request, reply, goOn))
  else fastify.addHook(hook as 'onRequest', decide as onRequestHookHandler)
}

/** Fastify takes these with any plugin, and hands them on to it. */
function withoutFastifys({
  prefix,
  logLevel,
  logSerializers,
  ...own
}: FastifyRouteRateLimit & RegisterOptions): FastifyRouteRateLimit {
  return own
}

function compile(options: FastifyRouteRateLimit): FastifyRateLimit {
  return new RateLimit(options as RateLimitOptions<FastifyRequest>, fastifySource)
}

/** Whether the handler is to run. */
function carryOut(limit: FastifyRateLimit, verdict: Verdict | undefined, reply: FastifyReply): boolean {
  if (verdict === undefined) return true
  if (verdict.gone) {
    reply.hijack()
    return false
  }
  limit.writeHeaders(verdict, reply, replyHeaders)
  if (verdict.answer === undefined) return true
  if (reply.raw.headersSent) {
    reply.hijack()
    endWhereItIs(reply.raw)
    return false
  }
  const { headers, body } = written(verdict.answer)
  const { status } = verdict.answer
  reply
    .code(status)
    .headers(headers)
    .send(takesBody(status) ? body : undefined)
  return false
}

/**
 * A plugin that limits the requests of the Fastify instance it is registered with, 404s included. A route's
 * `config.spillway` holds options of its own, or `false`; without a `limiter` here, only such routes are limited.
 * What goes wrong, such as a `key` that throws, goes to the error handler.
 *
 * @throws ConfigError `ERR_OPTION` where an option is wrong, as the plugin or the route is registered; from the requests
 * of a route that was registered before the plugin had loaded
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { rateLimit } from '@spillway/http/fastify'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 * const app = Fastify()
 * await app.register(rateLimit, { limiter })
 * app.get('/report', { config: { spillway: { cost: 10 } } }, () => 'a costly answer')
 * app.get('/health', { config: { spillway: false } }, () => 'up')
 * ```
 */
export const rateLimit = fastifyPlugin(plugin, { name: '@spillway/http', fastify: '5.x' })
