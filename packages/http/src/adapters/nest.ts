import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  ConfigurableModuleBuilder,
  type CustomDecorator,
  type ExceptionFilter,
  type ExecutionContext,
  HttpException,
  Inject,
  Injectable,
  Module,
  SetMetadata,
} from '@nestjs/common'
import { APP_FILTER, Reflector } from '@nestjs/core'
import { isPromise } from '../awaitable.ts'
import type { HeaderAccess } from '../headers.ts'
import { endWhereItIs, headerText, mountOf, nodeHeaders, nodeSource } from '../node-response.ts'
import { checkDiffering, differingOptions, type RateLimitOptions } from '../options.ts'
import { RateLimit as Limit, type Verdict } from '../rate-limit.ts'
import { type Answer, type Refusal, takesBody, written } from '../refusal.ts'
import type { RequestSource } from '../request-facts.ts'

/** The options' functions get Nest's context: `context.switchToHttp().getRequest()`. */
export type NestRateLimitOptions = RateLimitOptions<ExecutionContext>

/** A request of either platform: what both have in common, and where each keeps the route. */
interface PlatformRequest extends IncomingMessage {
  baseUrl?: string
  route?: { path: string }
  routeOptions?: { url?: string }
}

/** Express's response is Node's own; Fastify's wraps it. Both have these methods. */
type PlatformResponse = (ServerResponse | FastifyResponse) & {
  status(code: number): unknown
  send(body: string): unknown
}

interface FastifyResponse {
  readonly raw: ServerResponse
  getHeader(name: string): ReturnType<ServerResponse['getHeader']>
  header(name: string, value: string): unknown
  hijack(): unknown
}

const requestOf = (context: ExecutionContext) => context.switchToHttp().getRequest<PlatformRequest>()
const responseOf = (context: ExecutionContext) => context.switchToHttp().getResponse<PlatformResponse>()

const rawOf = (response: PlatformResponse) => ('raw' in response ? response.raw : response)

const nestSource: RequestSource<ExecutionContext, PlatformResponse> = {
  peer: (context) => nodeSource.peer(requestOf(context)),
  header: (context, name) => nodeSource.header(requestOf(context), name),
  method: (context) => nodeSource.method(requestOf(context)),
  route(context) {
    const { baseUrl, route, routeOptions } = requestOf(context)
    return route === undefined ? routeOptions?.url : `${mountOf(baseUrl)}${route.path}`
  },
  onHangUp(context, response, listener) {
    return nodeSource.onHangUp(requestOf(context), rawOf(response), listener)
  },
}

/** A refused request. {@link RateLimitFilter} answers it; catch it in a filter of your own to answer differently. */
export class RateLimitException extends HttpException {
  constructor(
    readonly refusal: Refusal,
    readonly answer: Answer,
  ) {
    super(answer.body as Record<string, unknown>, answer.status)
  }
}

/**
 * Answers refused requests. `RateLimitModule` includes it. Needed because Nest alone would send problem details as
 * plain `application/json`.
 */
export class RateLimitFilter implements ExceptionFilter<RateLimitException> {
  catch({ answer }: RateLimitException, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<PlatformResponse>()
    const raw = rawOf(response)
    if (raw.headersSent) {
      if ('raw' in response) response.hijack()
      endWhereItIs(raw)
      return
    }
    const { headers, body } = written(answer)
    for (const [name, value] of Object.entries(headers)) nestHeaders.set(response, name, value)
    response.status(answer.status)
    response.send(takesBody(answer.status) ? body : '')
  }
}
Catch(RateLimitException)(RateLimitFilter)

const ROUTE_OPTIONS = Symbol('@spillway/http: the rate limit of a route')

/**
 * Sets options for one controller or route; false: no rate limit. A route's options win over its controller's, and
 * these over those of the module or guard.
 *
 * @throws ConfigError `ERR_OPTION` if the argument is neither options nor false
 * @example
 * ```ts
 * import { Controller, Get } from '@nestjs/common'
 * import { RateLimit } from '@spillway/http/nest'
 *
 * @Controller()
 * class Reports {
 *   @Get('report')
 *   @RateLimit({ cost: 10 })
 *   report() {
 *     return 'a costly answer'
 *   }
 *
 *   @Get('health')
 *   @RateLimit(false)
 *   health() {
 *     return 'up'
 *   }
 * }
 * ```
 */
export function RateLimit(options: Partial<NestRateLimitOptions> | false): CustomDecorator<symbol> {
  checkDiffering('@RateLimit', options)
  return SetMetadata(ROUTE_OPTIONS, options)
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<NestRateLimitOptions>()
    .setClassMethodName('forRoot')
    .setExtras({}, (definition) => ({ ...definition, global: true }))
    .build()

type RouteOptions = Partial<NestRateLimitOptions> | false | undefined

/** A set of options, its limit, and the levels that differ from it: each made once. */
class Level {
  private made: Limit<ExecutionContext, PlatformResponse> | undefined
  private readonly differing = new WeakMap<object, Level>()

  constructor(private readonly options: NestRateLimitOptions) {}

  /** Made on first use: a controller's options alone may lack a limiter that the route's options have. */
  get limit(): Limit<ExecutionContext, PlatformResponse> {
    this.made ??= new Limit(this.options, nestSource)
    return this.made
  }

  with(differing: Partial<NestRateLimitOptions>): Level {
    let level = this.differing.get(differing)
    if (level === undefined) {
      level = new Level(differingOptions(this.options, differing))
      this.differing.set(differing, level)
    }
    return level
  }
}

/**
 * Limits requests over HTTP, by the options of `RateLimitModule` and of `@RateLimit` on the controller or route. Other
 * transports pass. A refusal is thrown as a {@link RateLimitException}.
 */
export class RateLimitGuard implements CanActivate {
  private readonly reflector = new Reflector()
  private readonly general: Level

  /** @throws ConfigError `ERR_OPTION` if an option is wrong */
  constructor(options: NestRateLimitOptions) {
    this.general = new Level(options)
    void this.general.limit
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (context.getType() !== 'http') return true
    const limit = this.limitOf(context)
    if (limit === undefined) return true
    const response = responseOf(context)
    const active = limit.admitAnd(context, response, (verdict) => carryOut(limit, verdict, response))
    return isPromise(active) ? Promise.resolve(active) : active
  }

  private limitOf(context: ExecutionContext): Limit<ExecutionContext, PlatformResponse> | undefined {
    const ofController: RouteOptions = this.reflector.get(ROUTE_OPTIONS, context.getClass())
    const ofRoute: RouteOptions = this.reflector.get(ROUTE_OPTIONS, context.getHandler())
    if ((ofRoute ?? ofController) === false) return undefined
    let level = this.general
    if (ofController) level = level.with(ofController)
    if (ofRoute) level = level.with(ofRoute)
    return level.limit
  }
}
Injectable()(RateLimitGuard)
Inject(MODULE_OPTIONS_TOKEN)(RateLimitGuard, undefined, 0)

function carryOut(
  limit: Limit<ExecutionContext, PlatformResponse>,
  verdict: Verdict | undefined,
  response: PlatformResponse,
): boolean {
  if (verdict === undefined) return true
  if (verdict.gone) return false
  if (!rawOf(response).headersSent) limit.writeHeaders(verdict, response, nestHeaders)
  if (verdict.answer !== undefined) throw new RateLimitException(verdict.refusal!, verdict.answer)
  return true
}

const nestHeaders: HeaderAccess<PlatformResponse> = {
  get(response, name) {
    return headerText(response.getHeader(name))
  },
  set(response, name, value) {
    if ('raw' in response) response.header(name, value)
    else nodeHeaders.set(response, name, value)
  },
}

/**
 * Holds the options of {@link RateLimitGuard}: `forRoot(options)`, or `forRootAsync({ imports, inject, useFactory })`
 * if the limiter comes from another provider. Then add the guard: `{ provide: APP_GUARD, useClass: RateLimitGuard }`
 * for all routes, or `@UseGuards(RateLimitGuard)` for some. A global filter of your own that catches everything runs
 * first: let it pass a {@link RateLimitException} to `new RateLimitFilter().catch(exception, host)`.
 *
 * @example
 * ```ts
 * import { Module } from '@nestjs/common'
 * import { APP_GUARD } from '@nestjs/core'
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { RateLimitGuard, RateLimitModule } from '@spillway/http/nest'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 *
 * @Module({
 *   imports: [RateLimitModule.forRoot({ limiter })],
 *   providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }],
 * })
 * class App {}
 * ```
 */
export class RateLimitModule extends ConfigurableModuleClass {}
Module({
  providers: [RateLimitGuard, { provide: APP_FILTER, useClass: RateLimitFilter }],
  exports: [RateLimitGuard, MODULE_OPTIONS_TOKEN],
})(RateLimitModule)

/**
 * A guard without the module, for `@UseGuards(rateLimit({ limiter }))` or
 * `app.useGlobalGuards(rateLimit({ limiter }))`. Also add `app.useGlobalFilters(new RateLimitFilter())`.
 *
 * @throws ConfigError `ERR_OPTION` if an option is wrong
 */
export function rateLimit(options: NestRateLimitOptions): RateLimitGuard {
  return new RateLimitGuard(options)
}
