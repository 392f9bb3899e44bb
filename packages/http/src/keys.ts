import { ConfigError } from '@spillway/core'
import { type Awaitable, andThen } from './awaitable.ts'
import { HEADER_NAME } from './headers.ts'
import { argumentError, optionError } from './option-error.ts'
import type { RequestFacts } from './request-facts.ts'
import { sha256 } from './sha256.ts'

/** Whose quota a request spends: one key, one quota. `undefined`: the request is not limited. */
export type KeyOf<Req = unknown> = (request: Req, facts: RequestFacts) => Awaitable<string | undefined>

/**
 * One quota for each client address: the default. IPv6 clients with the same prefix share one.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { createLimiter, fixedWindow } from '@spillway/core'
 * import { byAddress } from '@spillway/http'
 * import { rateLimit } from '@spillway/http/node'
 *
 * const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 100, window: '1m' }) })
 * const limited = rateLimit({ limiter, key: byAddress(), trustProxy: 1 })
 * createServer(limited((request, response) => response.end('hello')))
 * ```
 */
export function byAddress(): (request: unknown, facts: RequestFacts) => string {
  return (_, facts) => facts.addressKey
}

/**
 * One quota for each user, as your authentication identifies them. Requests without a user are not limited (see
 * {@link firstOf}).
 *
 * @param user returns the user's identifier; undefined, null or empty: no user
 * @example
 * ```ts
 * import { createLimiter, fixedWindow } from '@spillway/core'
 * import { byAddress, byUser, firstOf } from '@spillway/http'
 * import { rateLimit } from '@spillway/http/koa'
 * import type { Context } from 'koa'
 *
 * const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 100, window: '1m' }) })
 * const user = byUser((context: Context) => context.state.user?.id)
 * const middleware = rateLimit({ limiter, key: firstOf(user, byAddress()) })
 * ```
 */
export function byUser<Req>(
  user: (request: Req, facts: RequestFacts) => Awaitable<string | number | bigint | null | undefined>,
): KeyOf<Req> {
  if (typeof user !== 'function') {
    throw argumentError('byUser', user, "give a function of the request that returns the user's id")
  }
  return (request, facts) =>
    andThen(user(request, facts), (id) =>
      id === undefined || id === null || id === '' ? undefined : userKey(id),
    )
}

/** Refuses anything but an id: it would be one key for all users, such as `user:[object Object]`. */
function userKey(id: string | number | bigint): string {
  if (typeof id === 'string' || typeof id === 'bigint' || Number.isFinite(id)) return `user:${id}`
  throw optionError('byUser: what the function returned', id, "give the user's id, a string or a number")
}

/**
 * One quota for each API key sent in a header. Only the key's SHA-256 is kept and sent to the store. Requests without
 * the header are not limited (see {@link firstOf}). Check beforehand that the key is genuine.
 *
 * @param header default `x-api-key`
 * @throws ConfigError `ERR_OPTION`
 */
export function byApiKey(
  header = 'x-api-key',
): (request: unknown, facts: RequestFacts) => string | undefined {
  if (typeof header !== 'string' || !HEADER_NAME.test(header)) {
    throw argumentError('byApiKey', header, "give the name of a header, such as 'x-api-key'")
  }
  return (_, facts) => {
    const secret = facts.header(header)
    return secret === undefined || secret === '' ? undefined : `api-key:${sha256(secret)}`
  }
}

/**
 * One quota for each route, by its method and pattern (`GET /users/:id`); HEAD counts as GET. Combine it with a key of
 * the client, or all clients share the route's quota.
 *
 * @param name names the route if the framework does not: `node:http` and `fetch` have no routes, Express knows them
 * only in the route's own middleware, Koa also in `router.use`, and Express gives a router's mount path as requested.
 * Don't return the raw path: clients could make up new ones.
 * @throws ConfigError `ERR_OPTION`; for an unknown route, on the limited request
 * @example
 * ```ts
 * import { createLimiter, fixedWindow } from '@spillway/core'
 * import { byAddress, byRoute, combine } from '@spillway/http'
 * import { rateLimit } from '@spillway/http/hono'
 *
 * const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 100, window: '1m' }) })
 * const middleware = rateLimit({ limiter, key: combine(byAddress(), byRoute()) })
 * ```
 */
export function byRoute<Req = unknown>(
  name?: (request: Req, facts: RequestFacts) => string,
): (request: Req, facts: RequestFacts) => string {
  if (name !== undefined && typeof name !== 'function') {
    throw argumentError('byRoute', name, 'give a function that names the route of a request, or nothing')
  }
  return (request, facts) => {
    if (name !== undefined) return `route:${routeName(name(request, facts))}`
    const { route, method } = facts
    if (route === undefined) {
      throw new ConfigError(
        'ERR_OPTION',
        'byRoute: the route is not known here: put the limit on the route itself, or give byRoute a function that names it',
      )
    }
    return `route:${method === 'HEAD' ? 'GET' : method} ${route}`
  }
}

function routeName(name: unknown): string {
  if (typeof name === 'string') return name
  throw optionError('byRoute: what the function returned', name, 'give the name of a route, a string')
}

/** One quota for all requests together. */
export function globally(): () => string {
  return () => 'global'
}

/** One quota for each combination, such as `combine(byAddress(), byRoute())`. Undefined if any part is. */
export function combine<Req>(...parts: KeyOf<Req>[]): KeyOf<Req> {
  checkKeys('combine', parts)
  return (request, facts) => {
    const join = (place: number, before: string): Awaitable<string | undefined> => {
      const part = parts[place]
      if (part === undefined) return before
      return andThen(part(request, facts), (key) =>
        key === undefined
          ? undefined
          : join(place + 1, place === 0 ? escaped(key) : `${before}|${escaped(key)}`),
      )
    }
    return join(0, '')
  }
}

/** The first key that is not undefined, such as `firstOf(byApiKey(), byAddress())`. */
export function firstOf<Req>(...choices: KeyOf<Req>[]): KeyOf<Req> {
  checkKeys('firstOf', choices)
  return (request, facts) => {
    const choose = (place: number): Awaitable<string | undefined> => {
      const choice = choices[place]
      if (choice === undefined) return undefined
      return andThen(choice(request, facts), (key) => key ?? choose(place + 1))
    }
    return choose(0)
  }
}

function checkKeys(name: string, keys: readonly unknown[]): void {
  if (keys.length > 0 && keys.every((key) => typeof key === 'function')) return
  throw argumentError(
    name,
    keys.find((key) => typeof key !== 'function'),
    'give functions such as byAddress() and byRoute()',
  )
}

/** Escapes a part so that no two combinations give the same key: `a|b` with `c` is not `a` with `b|c`. */
function escaped(part: string): string {
  if (typeof part !== 'string') {
    throw optionError(
      "combine: a part's key",
      part,
      'give a string, or undefined where the request is not to be limited',
    )
  }
  return part.replace(/[\\|]/g, '\\$&')
}
