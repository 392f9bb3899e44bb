import { ConfigError, createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { globally } from '@spillway/http'
import { rateLimit as expressLimit } from '@spillway/http/express'
import { rateLimit as fastifyLimit } from '@spillway/http/fastify'
import { rateLimit as fetchLimit } from '@spillway/http/fetch'
import { rateLimit as honoLimit } from '@spillway/http/hono'
import { rateLimit as koaLimit } from '@spillway/http/koa'
import { rateLimit as nestLimit, RateLimit } from '@spillway/http/nest'
import { rateLimit as nodeLimit } from '@spillway/http/node'
import Fastify from 'fastify'
import { expect, onTestFinished, test } from 'vitest'

const limiter = createLimiter({
  name: 'api',
  clock: new ManualClock(0),
  limit: fixedWindow({ limit: 1, window: '1h' }),
})

/** As a program in JavaScript calls them. */
const make = (call: (options: never) => unknown, argument: unknown) => () => call(argument as never)

test.each(
  Object.entries({ expressLimit, fetchLimit, honoLimit, koaLimit, nestLimit, nodeLimit }).flatMap(
    ([name, limit]) =>
      [undefined, null, 5, 'api', [], limiter.check, Promise.resolve({ limiter })].map(
        (options) => [name, options, limit as (options: never) => unknown] as const,
      ),
  ),
)('%s refuses %o instead of options', (_, options, limit) => {
  expect(make(limit, options)).toThrow(ConfigError)
  expect(make(limit, options)).toThrow(/^rateLimit was given .*: give an object such as \{ limiter \}/s)
})

test.each([undefined, null, 'hello', {}])('%o is no handler', (handler) => {
  const options = { limiter, key: globally() }
  for (const limited of [nodeLimit(options), fetchLimit(options)])
    expect(make(limited, handler)).toThrow('the handler is')
})

test.each([[true], [null], [5], [[]]])(
  "a route's own options are an object or false, and not %o",
  async (spillway) => {
    expect(make(RateLimit, spillway)).toThrow(/^@RateLimit is .*: give options of its own such as/)
    const app = Fastify()
    onTestFinished(() => app.close())
    await app.register(fastifyLimit, { limiter })
    const route = () => app.get('/', { config: { spillway: spillway as never } }, () => 'hello')
    expect(route).toThrow(ConfigError)
    expect(route).toThrow(/^config\.spillway is .*: give options of its own such as/)
  },
)

test.each<[string, (options: never) => unknown]>([
  ['onError', nodeLimit],
  ['peer', fetchLimit],
  ['peer', honoLimit],
])('%s is a function', (option, limit) => {
  const wrong = make(limit, { limiter, key: globally(), [option]: '192.0.2.1' })
  expect(wrong).toThrow(ConfigError)
  expect(wrong).toThrow(`${option} is '192.0.2.1': give a function`)
})

test('an own answer that is none is told of', async () => {
  const handler = fetchLimit({ limiter, key: globally(), response: () => undefined as never })(
    () => new Response('hello'),
  )
  await handler(new Request('http://localhost/'))
  await expect(handler(new Request('http://localhost/'))).rejects.toThrow(
    'response: the answer is undefined: give an object with status, headers or body',
  )
})
