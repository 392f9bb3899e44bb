import { createLimiter, fixedWindow } from '@spillway/core'
import { expect, it } from 'vitest'
import { type RateLimitOptions, settings } from './options.ts'

const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: '1m' }) })
const scoped = createLimiter({
  name: 'scoped',
  scopes: { algorithm: fixedWindow({ limit: 1, window: '1m' }) },
})

it.each<[unknown, string]>([
  [undefined, 'rateLimit was given undefined: give an object such as { limiter }'],
  [[limiter], 'rateLimit was given [ [Limiter] ]: give an object'],
  [Promise.resolve({ limiter }), 'rateLimit was given Promise {'],
  [{ limiter, headers: [undefined] }, 'headers is undefined: give false'],
  [{ limiter, headers: null }, 'headers is null: give false'],
  [{ limiter, clock: {} }, 'clock is {}: give an object with wall, monotonic, setTimer and clearTimer'],
  [{ limiter, clock: null }, 'clock is null'],
  [{}, 'limiter is undefined: make one with createLimiter'],
  [{ limiter: 'api' }, "limiter is 'api': make one with createLimiter"],
  [{ limiter: [] }, 'limiter is []: give at least one limiter'],
  [{ limiter: [limiter, {}] }, 'limiter is {}: make one with createLimiter'],
  [{ limiter, max: 5 }, "the option is 'max': there is none of that name; there are limiter, key, cost"],
  [{ limiter, key: 'user' }, "key is 'user': give a function of the request"],
  [{ limiter, plan: limiter.limit }, 'plan is FixedWindow'],
  [{ limiter: [limiter, limiter], plan: () => limiter.limit }, 'plan is [Function: plan]: give one limiter'],
  [{ limiter: scoped }, 'key is undefined: give a function with a key for each scope'],
  [{ limiter, skip: true }, 'skip is true: give a function'],
  [{ limiter, onDenied: 1 }, 'onDenied is 1: give a function'],
  [{ limiter, response: 'no' }, "response is 'no': give a function"],
  [{ limiter, cost: 0 }, 'cost is 0: give an integer from 1'],
  [{ limiter, cost: 1.5 }, 'cost is 1.5: give an integer from 1'],
  [{ limiter, cost: 2 ** 31 }, 'cost is 2147483648: give an integer from 1 to 2147483647'],
  [{ limiter, dryRun: 'yes' }, "dryRun is 'yes': give true or false"],
  [{ limiter, headers: 'draft-8' }, "headers is 'draft-8': give false, or one or several of draft-11"],
  [
    { limiter, headers: ['draft-11', 'draft-7'] },
    'draft-11 and draft-7 both write RateLimit: take one of them',
  ],
  [{ limiter, trustProxy: true }, 'trustProxy is true: give how many proxies'],
  [{ limiter, ipv6Prefix: 0 }, 'ipv6Prefix is 0: give an integer from 1 to 128'],
])('refuses %o', (options, message) => {
  expect(() => settings(options as RateLimitOptions<unknown>)).toThrow(
    expect.objectContaining({
      name: 'ConfigError',
      code: 'ERR_OPTION',
      message: expect.stringContaining(message),
    }),
  )
})
