import { ConfigError } from '@spillway/core'
import { andThen, isPromise } from '../awaitable.ts'
import { tellsWithoutPeer } from '../client-address.ts'
import { checkHandler, optionError } from '../option-error.ts'
import { checkOptions, type RateLimitOptions } from '../options.ts'
import { RateLimit } from '../rate-limit.ts'
import type { RequestSource } from '../request-facts.ts'
import { onGone, unreadResponse, webHeaders, webResponse, withHeaders } from '../web-response.ts'

/**
 * A handler of the fetch API. It gets its platform's own kind of `Request`, such as `NextRequest`, and any further
 * arguments. Bun's handlers return no response for a request that became a WebSocket.
 */
export type FetchHandler<
  Rest extends unknown[],
  Req extends Request = Request,
  Res extends Response | undefined = Response,
> = (request: Req, ...rest: Rest) => Res | PromiseLike<Res>

/** A handler as Bun, Deno and Next.js type it: it may return a promise, but not any `PromiseLike`. */
export type LimitedFetchHandler<
  Rest extends unknown[],
  Req extends Request = Request,
  Res extends Response | undefined = Response,
> = (request: Req, ...rest: Rest) => Res | Response | Promise<Res | Response>

/** Wraps a handler so that it runs only for allowed requests. */
export type FetchLimit<Rest extends unknown[]> = <
  Req extends Request = Request,
  Own extends Rest = Rest,
  Res extends Response | undefined = Response,
>(
  handler: FetchHandler<Own, Req, Res>,
) => LimitedFetchHandler<Own, Req, Res>

export interface FetchRateLimitOptions<Rest extends unknown[] = unknown[]> extends RateLimitOptions<Request> {
  /**
   * The address at the other end of the connection, as the platform tells it. Required if a key uses the address, as
   * the default key does, unless `trustProxy` is a number or a function: a `Request` has no address.
   */
  peer?: ((request: Request, ...rest: Rest) => string | undefined) | undefined
}

/**
 * Limits a handler of the fetch API, for Deno, Bun, workers, Next.js route handlers and the like. The limited handler
 * throws or rejects with any error, such as one that `key` throws.
 *
 * @returns a function that wraps a handler so that it runs only for allowed requests
 * @throws ConfigError `ERR_OPTION` if an option is wrong
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
): FetchLimit<Rest> {
  checkOptions(options)
  const limit = new RateLimit<Request, Rest>(options, sourceOf(options), ['peer'])
  return (handler) => {
    checkHandler(handler)
    return (request, ...rest) => {
      const response = limit.admitAnd(request, rest, (verdict) => {
        if (verdict === undefined) return handler(request, ...rest)
        if (verdict.gone) return unreadResponse()
        const write = (headers: Headers) => limit.writeHeaders(verdict, headers, webHeaders)
        if (verdict.answer !== undefined) return webResponse(verdict.answer, request.method, write)
        return andThen(handler(request, ...rest), (response) => response && withHeaders(response, write))
      })
      return isPromise(response) ? Promise.resolve(response) : response
    }
  }
}

function sourceOf<Rest extends unknown[]>({
  peer,
  key,
  trustProxy,
}: FetchRateLimitOptions<Rest>): RequestSource<Request, Rest> {
  if (peer !== undefined && typeof peer !== 'function') throw optionError('peer', peer, 'give a function')
  const isTelling = peer !== undefined || tellsWithoutPeer(trustProxy)
  if (!isTelling && key === undefined) {
    throw optionError(
      'key',
      key,
      'a Request has no address to tell clients apart by: give a key, or how many proxies there are as trustProxy, or peer with the address as the platform tells it',
    )
  }
  return {
    peer(request, rest) {
      if (isTelling) return peer?.(request, ...rest)
      throw new ConfigError(
        'ERR_OPTION',
        "the client's address is not known here, a Request has none: give `peer` with the address as the platform tells it, or how many proxies there are as trustProxy, or another key",
      )
    },
    header: (request, name) => request.headers.get(name) ?? undefined,
    method: ({ method }) => method,
    route: () => undefined,
    onHangUp: ({ signal }, [handed], listener) => onGone(signal, handed, listener),
  }
}
