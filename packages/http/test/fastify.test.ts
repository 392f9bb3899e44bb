import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { globally } from '@spillway/http'
import { type FastifyRateLimitOptions, rateLimit } from '@spillway/http/fastify'
import Fastify, { type FastifyInstance } from 'fastify'
import { expect, onTestFinished, test } from 'vitest'

function limiterOf(limit: number, name = 'api') {
  return createLimiter({ name, clock: new ManualClock(0), limit: fixedWindow({ limit, window: '1h' }) })
}

async function serve(options: FastifyRateLimitOptions, routes: (app: FastifyInstance) => void) {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  await app.register(rateLimit, options)
  routes(app)
  return requesting(await app.listen({ port: 0, host: '127.0.0.1' }))
}

const requesting = (url: string) => async (path: string, init?: RequestInit) => {
  const response = await fetch(url + path, init)
  return [response.status, response.headers.get('ratelimit')?.split(';t')[0]]
}

test('a route has options of its own, or none', async () => {
  const get = await serve({ limiter: limiterOf(10), key: globally() }, (app) => {
    app.get('/plain', () => 'plain')
    app.get('/costly', { config: { spillway: { cost: 4 } } }, () => 'costly')
    app.get('/own', { config: { spillway: { limiter: limiterOf(1, 'own') } } }, () => 'own')
    app.get('/health', { config: { spillway: false } }, () => 'up')
  })
  expect(await get('/plain')).toEqual([200, '"api";r=9'])
  expect(await get('/costly')).toEqual([200, '"api";r=5'])
  expect(await get('/own')).toEqual([200, '"own";r=0'])
  expect(await get('/own')).toEqual([429, '"own";r=0'])
  expect(await get('/health')).toEqual([200, undefined])
})

test.each([false, true])(
  'so has a route that was there before the plugin had loaded (others come later: %s)',
  async (othersCome) => {
    const app = Fastify({ forceCloseConnections: true })
    onTestFinished(() => app.close())
    app.register(rateLimit, { limiter: limiterOf(10), key: globally() })
    app.get('/plain', () => 'plain')
    app.get('/costly', { config: { spillway: { cost: 4 } } }, () => 'costly')
    app.get('/health', { config: { spillway: false } }, () => 'up')
    app.get('/wrong', { config: { spillway: { cost: 0 } } }, () => 'wrong')
    app.register(async (scope) => {
      if (othersCome) scope.get('/late', { config: { spillway: { cost: 2 } } }, () => 'late')
    })
    const get = requesting(await app.listen({ port: 0, host: '127.0.0.1' }))
    expect(await get('/health')).toEqual([200, undefined])
    expect(await get('/costly')).toEqual([200, '"api";r=6'])
    expect(await get('/plain')).toEqual([200, '"api";r=5'])
    expect(await get('/costly')).toEqual([200, '"api";r=1'])
    expect(await get('/costly')).toEqual([429, '"api";r=1'])
    expect(await get('/wrong')).toEqual([500, undefined])
  },
)

test('without a limiter, only routes with their own are limited', async () => {
  const get = await serve({}, (app) => {
    app.get('/plain', () => 'plain')
    app.get('/own', { config: { spillway: { limiter: limiterOf(1, 'own') } } }, () => 'own')
  })
  expect(await get('/plain')).toEqual([200, undefined])
  expect(await get('/own')).toEqual([200, '"own";r=0'])
})

test('requests without a route are limited too', async () => {
  const get = await serve({ limiter: limiterOf(1) }, () => {})
  expect(await get('/nowhere')).toEqual([404, '"api";r=0'])
  expect(await get('/nowhere')).toEqual([429, '"api";r=0'])
})

test('routes outside the scope of the plugin are not limited', async () => {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  await app.register(async (scope) => {
    await scope.register(rateLimit, { limiter: limiterOf(1) })
    scope.get('/inside', () => 'inside')
  })
  app.get('/outside', () => 'outside')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  expect((await fetch(`${url}/inside`)).headers.get('ratelimit')).toMatch('"api";r=0')
  expect((await fetch(`${url}/outside`)).headers.get('ratelimit')).toBeNull()
})

test.each([
  [false, null],
  [true, '"api";r=0'],
])('routes that a scope does not have are limited if it answers them itself: %o', async (answers, told) => {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  await app.register(
    async (scope) => {
      await scope.register(rateLimit, { limiter: limiterOf(1) })
      if (answers) scope.setNotFoundHandler((_, reply) => reply.code(404).send('none'))
    },
    { prefix: '/scope' },
  )
  const { statusCode, headers } = await app.inject('/scope/nowhere')
  expect(statusCode).toBe(404)
  expect(String(headers.ratelimit ?? null).replace(/;t=\d+/, '')).toBe(String(told))
})

test('mistakes in the options of a route before the plugin show when it gets a request', async () => {
  const app = Fastify()
  onTestFinished(() => app.close())
  app.get('/', { config: { spillway: { cost: 0 } } }, () => 'hello')
  await app.register(rateLimit, { limiter: limiterOf(1) }).ready()
  const response = await app.inject('/')
  expect(response.statusCode).toBe(500)
  expect(response.json()).toMatchObject({ code: 'ERR_OPTION', message: expect.stringContaining('cost is 0') })
})

test.each(['preParsing', 'preValidation'] as const)('decides in the %s hook', async (hook) => {
  const seen: string[] = []
  const get = await serve(
    { hook, limiter: limiterOf(1), onDenied: () => void seen.push('denied') },
    (app) => {
      app.addHook('onRequest', (_request, _reply, done) => {
        seen.push('onRequest')
        done()
      })
      app.get('/', () => 'hello')
    },
  )
  expect(await get('/')).toEqual([200, '"api";r=0'])
  expect(await get('/')).toEqual([429, '"api";r=0'])
  expect(seen).toEqual(['onRequest', 'onRequest', 'denied'])
})

test('decides in the onRequest hook, if none is given', async () => {
  const seen: string[] = []
  const key = () => {
    seen.push('limit')
    return 'all'
  }
  const get = await serve({ limiter: limiterOf(1), key }, (app) => {
    app.addHook('onRequest', async () => void seen.push('onRequest'))
    app.addHook('preParsing', async () => void seen.push('preParsing'))
    app.get('/', () => 'hello')
  })
  expect(await get('/')).toEqual([200, '"api";r=0'])
  expect(seen).toEqual(['limit', 'onRequest', 'preParsing'])
})

test('decides by the body in the preHandler hook', async () => {
  const key: FastifyRateLimitOptions['key'] = ({ body }) => (body as { user: string }).user
  const get = await serve({ hook: 'preHandler', limiter: limiterOf(1), key }, (app) => {
    app.post('/', () => 'hello')
  })
  const post = (user: string) =>
    get('/', {
      method: 'POST',
      body: JSON.stringify({ user }),
      headers: { 'content-type': 'application/json' },
    })
  expect(await post('eve')).toEqual([200, '"api";r=0'])
  expect(await post('eve')).toEqual([429, '"api";r=0'])
  expect(await post('bob')).toEqual([200, '"api";r=0'])
})

test('refuses wrong options as they are registered', async () => {
  const app = Fastify()
  await expect(
    app.register(rateLimit, { hook: 'onSend' } as unknown as FastifyRateLimitOptions).ready(),
  ).rejects.toThrow("hook is 'onSend': give one of onRequest")

  // Also where it limits only routes that bring a limiter, for which a misspelt one would pass.
  for (const [options, message] of [
    [{ limitter: limiterOf(1) }, "the option is 'limitter': there is none of that name"],
    [{ cost: 0 }, 'cost is 0'],
  ] as const)
    await expect(
      Fastify()
        .register(rateLimit, options as FastifyRateLimitOptions)
        .ready(),
    ).rejects.toThrow(message)

  const other = Fastify()
  await other.register(rateLimit, { limiter: limiterOf(1) })
  expect(() => other.get('/', { config: { spillway: { cost: 0 } } }, () => 'hello')).toThrow('cost is 0')
})

test('a plan goes with the limiter that it was given with, and not with a route’s own', async () => {
  const pro = fixedWindow({ limit: 100, window: '1h' })
  const get = await serve({ limiter: limiterOf(10), key: globally(), plan: () => pro }, (app) => {
    app.get('/plain', () => 'plain')
    app.get('/costly', { config: { spillway: { cost: 4 } } }, () => 'costly')
    app.get('/own', { config: { spillway: { limiter: limiterOf(2, 'own') } } }, () => 'own')
  })
  expect(await get('/plain')).toEqual([200, '"api";r=99'])
  expect(await get('/costly')).toEqual([200, '"api";r=95'])
  expect(await get('/own')).toEqual([200, '"own";r=1'])
})

test('routes of a plugin that was registered before are limited as well, by their options', async () => {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  app.register(async (scope) => {
    scope.get('/before', () => 'before')
    scope.get('/costly', { config: { spillway: { cost: 4 } } }, () => 'costly')
    scope.get('/health', { config: { spillway: false } }, () => 'up')
  })
  app.register(rateLimit, { limiter: limiterOf(10), key: globally() })
  const get = requesting(await app.listen({ port: 0, host: '127.0.0.1' }))
  expect(await get('/before')).toEqual([200, '"api";r=9'])
  expect(await get('/costly')).toEqual([200, '"api";r=5'])
  expect(await get('/health')).toEqual([200, undefined])
})

test('an answer that cannot be written ends nobody, whatever hooks are there', async () => {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  app.setErrorHandler((error: Error, _, reply) => reply.code(500).send(`caught: ${error.message}`))
  app.addHook('onSend', (_request, _reply, payload, done) => void setImmediate(done, null, payload))
  const response = () => ({ headers: { 'x-limited': 'two\nlines' } })
  await app.register(rateLimit, { limiter: limiterOf(1), key: globally(), response })
  app.get('/', () => 'hello')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  expect((await fetch(url)).status).toBe(200)
  const refused = await fetch(url)
  expect(refused.status).toBe(500)
  expect(await refused.text()).toContain('caught: response: the header x-limited is')
})

test('a request of which a handler says that there is nothing counts once', async () => {
  const get = await serve({ limiter: limiterOf(2), hook: 'preHandler' }, (app) => {
    app.get('/missing', (_, reply) => reply.callNotFound())
    app.get('/free', { config: { spillway: false } }, (_, reply) => reply.callNotFound())
  })
  expect(await get('/missing')).toEqual([404, '"api";r=1'])
  expect(await get('/free')).toEqual([404, undefined])
  expect(await get('/missing')).toEqual([404, '"api";r=0'])
  expect(await get('/missing')).toEqual([429, '"api";r=0'])
})

test.each([{ prefix: '/api' }, { logLevel: 'warn' as const }, { logSerializers: {} }])(
  'stands what Fastify takes with any plugin: %o',
  async (fastifys) => {
    const get = await serve({ limiter: limiterOf(2), ...fastifys }, (app) => {
      app.get('/', () => 'hello')
    })
    expect(await get('/')).toEqual([200, '"api";r=1'])
  },
)

test('an option of a route that is undefined is the plugin’s', async () => {
  const get = await serve({ limiter: limiterOf(10), key: globally(), cost: 3 }, (app) => {
    app.get('/', { config: { spillway: { key: undefined, cost: undefined } } }, () => '')
  })
  expect(await get('/')).toEqual([200, '"api";r=7'])
})
