import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Request } from 'express'
import { carryOut, mountOf, nodeSource } from '../node-response.ts'
import type { RateLimitOptions } from '../options.ts'
import { type Course, RateLimit } from '../rate-limit.ts'
import type { RequestSource } from '../request-facts.ts'

/** A middleware for Express and similar servers. */
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
 * Limits requests in Express 4 and 5, connect and similar servers. Errors, such as one that `key` throws, go to `next`.
 *
 * @typeParam Req the request passed to the options' functions; for connect, `rateLimit<IncomingMessage>({ … })`
 * @throws ConfigError `ERR_OPTION` if an option is wrong
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
