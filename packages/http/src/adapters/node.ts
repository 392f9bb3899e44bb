import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { carryOut, nodeSource } from '../node-response.ts'
import { checkHandler, optionError } from '../option-error.ts'
import type { RateLimitOptions } from '../options.ts'
import { type Course, RateLimit } from '../rate-limit.ts'

/** A request of `node:http`, or of `node:http2` in its compatibility API. */
export type NodeRequest = IncomingMessage | Http2ServerRequest

/** The response that belongs to such a request. */
export type NodeResponse<Req extends NodeRequest = IncomingMessage> = Req extends IncomingMessage
  ? ServerResponse
  : Http2ServerResponse

export type NodeHandler<Req extends NodeRequest = IncomingMessage> = (
  request: Req,
  response: NodeResponse<Req>,
) => void

export interface NodeRateLimitOptions<Req extends NodeRequest = IncomingMessage>
  extends RateLimitOptions<Req> {
  /**
   * Answers a request that could not be decided, because one of the options' functions threw, the limiter is closed, or
   * the store is away and `onOutage` is `'throw'`. Default: prints the error and answers 500.
   */
  onError?: ((error: unknown, request: Req, response: NodeResponse<Req>) => void) | undefined
}

/**
 * Limits a handler of `node:http`, or of `node:http2` in its compatibility API: `rateLimit<Http2ServerRequest>({ … })`.
 *
 * @typeParam Req the request passed to the handler and to the options' functions
 * @returns a function that wraps a handler so that it runs only for allowed requests
 * @throws ConfigError `ERR_OPTION` if an option is wrong
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { rateLimit } from '@spillway/http/node'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 * const limited = rateLimit({ limiter })
 * const server = createServer(limited((request, response) => response.end(`hello ${request.url}`)))
 * ```
 */
export function rateLimit<Req extends NodeRequest = IncomingMessage>(
  // Not inferred from the options: a `key` for any request, such as `byAddress()`, would widen `Req` to both kinds.
  options: NodeRateLimitOptions<NoInfer<Req>>,
): (handler: NodeHandler<Req>) => NodeHandler<Req>
// The compatibility API's requests and responses have everything used here of Node's own.
export function rateLimit(options: NodeRateLimitOptions): (handler: NodeHandler) => NodeHandler {
  const limit = new RateLimit(options, nodeSource, ['onError'])
  const { onError = answer500 } = options
  if (typeof onError !== 'function') throw optionError('onError', onError, 'give a function')
  const course: Course<IncomingMessage, ServerResponse, NodeHandler> = {
    carryOut,
    goOn(request, response, handler) {
      handler(request, response)
    },
    failed: onError,
  }
  return (handler) => {
    checkHandler(handler)
    return (request, response) => limit.admitThen(request, response, handler, course)
  }
}

function answer500(error: unknown, _: IncomingMessage, response: ServerResponse): void {
  console.error(error)
  if (!response.headersSent) response.statusCode = 500
  response.end()
}
