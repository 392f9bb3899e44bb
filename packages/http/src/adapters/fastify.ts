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

/** What `printRoutes` returns if there are no routes. */
const NO_ROUTES = '(empty tree)'

export type FastifyRouteRateLimit = Partial<RateLimitOptions<FastifyRequest>>

export interface FastifyRateLimitOptions extends FastifyRouteRateLimit {
  /**
   * The hook that decides; default `'onRequest'`, the earliest. Choose a later one if `key` needs more, as the body.
   */
  hook?: (typeof HOOKS)[number] | undefined
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's own options, or false for no limit. (@fastify/rate-limit uses the name `rateLimit`.) */
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

/** On the reply, which hands Node all headers at once: setting each on Node's response costs twice as much. */
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
  // Checked without a limiter too: a misspelt `limiter` would leave all routes without a limit.
  const limitsAll = shared.limiter !== undefined
  const compiled = compile(limitsAll ? shared : { ...shared, limiter: () => undefined })
  const general = limitsAll ? compiled : undefined
  const own = new Map<FastifyRouteRateLimit, FastifyRateLimit>()
  // `onRoute` is not called for routes added before the plugin. A request's `routeOptions` is read only if some route
  // has options of its own, since Fastify builds that object on each access.
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
  // Fastify runs the preHandler hook again if a handler calls `reply.callNotFound`, as for a missing file.
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

/** Removes the options that Fastify accepts for every plugin and passes on to it. */
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
 * A plugin that limits all requests of its Fastify instance, 404s included. A route can set its own options, or
 * `false`, as `config.spillway`; without a `limiter` here, only such routes are limited. Errors, such as one that `key`
 * throws, go to the error handler.
 *
 * @throws ConfigError `ERR_OPTION` if an option is wrong, when the plugin or the route is registered; from the requests
 * of a route registered before the plugin had loaded
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
