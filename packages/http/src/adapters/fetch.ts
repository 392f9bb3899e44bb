import { andThen } from '../awaitable.ts'
import { checkHandler, optionError } from '../option-error.ts'
import { checkOptions, type RateLimitOptions } from '../options.ts'
import { RateLimit } from '../rate-limit.ts'
import type { RequestSource } from '../request-facts.ts'
import { onGone, unreadResponse, webHeaders, webResponse, withHeaders } from '../web-response.ts'

/** A handler of the fetch API; what its platform hands it beside the request is passed on. */
export type FetchHandler<Rest extends unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | PromiseLike<Response>

export interface FetchRateLimitOptions<Rest extends unknown[] = unknown[]> extends RateLimitOptions<Request> {
  /**
   * The address at the other end of the connection, as the platform tells it. Required with the default `key`, unless
   * `trustProxy` is there: a `Request` has no address.
   */
  peer?: ((request: Request, ...rest: Rest) => string | undefined) | undefined
}

/**
 * Limits a handler of the fetch API, for Deno, Bun, workers, Next.js route handlers and the like. What goes wrong, such
 * as a `key` that throws, the handler throws or rejects with.
 *
 * @returns takes the handler and gives one that runs it for requests that are allowed
 * @throws ConfigError `ERR_OPTION` where an option is wrong
 * @example
 * ```ts
 * import { createLimiter, slidingWindow } from '@spillway/core'
 * import { byApiKey } from '@spillway/http'
 * import { rateLimit } from '@spillway/http/fetch'
 *
 * const limiter = createLimiter({ name: 'api', limit: slidingWindow({ limit: 100, window: '1m' }) })
 * const limited = rateLimit({ limiter, key: byApiKey() })
 * const handler = limited((request: Request) => new Response(`hello ${new URL(request.url).pathname}`))
 *
 * const response = await handler(new Request('http://localhost/', { headers: { 'x-api-key': 'k1' } }))
 * console.log(response.headers.get('ratelimit')) // "api";r=99;t=60
 * ```
 */
export function rateLimit<Rest extends unknown[] = unknown[]>(
  options: FetchRateLimitOptions<Rest>,
): (handler: FetchHandler<Rest>) => FetchHandler<Rest> {
  checkOptions(options)
  const limit = new RateLimit(options, sourceOf(options), ['peer'])
  return (handler) => {
    checkHandler(handler)
    return (request, ...rest) =>
      limit.admitAnd(request, rest, (verdict) => {
        if (verdict === undefined) return handler(request, ...rest)
        if (verdict.gone) return unreadResponse()
        const write = (headers: Headers) => limit.writeHeaders(verdict, headers, webHeaders)
        if (verdict.answer !== undefined) return webResponse(verdict.answer, request.method, write)
        // Bun's handlers give none where the request became a WebSocket.
        return andThen(handler(request, ...rest), (response) => response && withHeaders(response, write))
      })
  }
}

function sourceOf<Rest extends unknown[]>({
  peer,
  key,
  trustProxy,
}: FetchRateLimitOptions<Rest>): RequestSource<Request, Rest> {
  if (peer !== undefined && typeof peer !== 'function') throw optionError('peer', peer, 'give a function')
  if (peer === undefined && key === undefined && (trustProxy ?? false) === false) {
    throw optionError(
      'key',
      key,
      'a Request has no address to tell clients apart by: give a key, or trustProxy, or peer with the address as the platform tells it',
    )
  }
  return {
    peer: (request, rest) => peer?.(request, ...rest),
    header: (request, name) => request.headers.get(name) ?? undefined,
    method: ({ method }) => method,
    route: () => undefined,
    onHangUp: ({ signal }, [handed], listener) => onGone(signal, handed, listener),
  }
}
