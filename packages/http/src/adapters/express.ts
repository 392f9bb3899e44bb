import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Request } from 'express'
import { carryOut, mountOf, nodeSource } from '../node-response.ts'
import type { RateLimitOptions } from '../options.ts'
import { type Course, RateLimit } from '../rate-limit.ts'
import type { RequestSource } from '../request-facts.ts'

/** A middleware of Express and of servers like it. */
export type ExpressMiddleware<Req> = (
  request: Req,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

const expressSource: RequestSource<IncomingMessage, ServerResponse> = {
  ...nodeSource,
  route(request) {
    const { baseUrl, route } = request as Partial<Pick<Request, 'baseUrl' | 'route'>>
    return route === undefined ? undefined : `${mountOf(baseUrl)}${route.path}`
  },
}

const course: Course<IncomingMessage, ServerResponse, Parameters<ExpressMiddleware<unknown>>[2]> = {
  carryOut,
  goOn(_request, _response, next) {
    next()
  },
  failed(error, _request, _response, next) {
    next(error)
  },
}

/**
 * Limits requests of Express 4 and 5, and of connect and servers like it. What goes wrong, such as a `key` that throws,
 * goes to `next`.
 *
 * @typeParam Req the request that the options' functions get: for connect, `rateLimit<IncomingMessage>({ … })`
 * @throws ConfigError `ERR_OPTION` where an option is wrong
 * @example
 * ```ts
 * import express from 'express'
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { rateLimit } from '@spillway/http/express'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 * const app = express()
 * app.use(rateLimit({ limiter }))
 * ```
 */
export function rateLimit<Req extends IncomingMessage = Request>(
  options: RateLimitOptions<Req>,
): ExpressMiddleware<Req> {
  const limit = new RateLimit<Req, ServerResponse>(options, expressSource)
  return (request, response, next) => limit.admitThen(request, response, next, course)
}
