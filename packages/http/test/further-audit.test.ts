import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, get, type Server } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { createLimiter, fixedWindow, leakyBucket } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import { globally, type HeaderStyle, type RateLimitOptions, type RequestFacts } from '@spillway/http'
import { rateLimit as expressLimit } from '@spillway/http/express'
import { rateLimit as fastifyLimit } from '@spillway/http/fastify'
import { rateLimit as fetchLimit } from '@spillway/http/fetch'
import { rateLimit as honoLimit } from '@spillway/http/hono'
import { rateLimit as koaLimit } from '@spillway/http/koa'
import { rateLimit as nodeLimit } from '@spillway/http/node'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { hangUpOnce } from './hang-up.ts'
import { limiterOf } from './limiter-of.ts'
import { SERVERS } from './servers/index.ts'
import { CAUGHT, Handled, listening, type Serve } from './servers/served.ts'
import { listOf } from './standing-fields.ts'

const NOWHERE = 'redis://127.0.0.1:1'

describe.each(Object.entries(SERVERS))('%s', (_, serve) => {
  async function start(options: RateLimitOptions<unknown>) {
    const served = await (serve as Serve)(options)
    onTestFinished(() => served.close())
    const get = (init?: RequestInit) =>
      fetch(`${served.url}/`, { signal: AbortSignal.timeout(5000), ...init })
    return { ...served, get }
  }

  const outage = (onOutage: 'deny' | 'throw') => {
    const store = redisStore(NOWHERE)
    onTestFinished(() => store.close())
    return createLimiter({ name: 'api', store, onOutage, limit: fixedWindow({ limit: 2, window: '1m' }) })
  }

  test('a 503 is problem details too, and has no body with HEAD', async () => {
    const { get } = await start({ limiter: outage('deny') })
    const response = await get()
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    const head = await get({ method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([503, ''])
    expect((await get()).status).toBe(503)
  })

  test.each(['soft', 'leased'] as const)('a limiter that was closed (%s)', async (mode) => {
    const limiter = limiterOf(mode, 5)
    const { get, handled } = await start({ limiter, key: globally() })
    expect((await get()).status).toBe(200)
    await limiter.close()
    const response = await get()
    expect(response.status).toBe(500)
    expect(await response.text()).toContain(`${CAUGHT}`)
    expect(handled()).toBe(1)
  })

  test('in a dry run a request that cannot be decided fails all the same', async () => {
    const { get, handled } = await start({ limiter: outage('throw'), dryRun: true })
    expect((await get()).status).toBe(500)
    const fail = () => {
      throw new Error('no such user')
    }
    const other = await start({ limiter: limiterOf(), dryRun: true, key: fail })
    const response = await other.get()
    expect([response.status, await response.text()]).toEqual([500, expect.stringContaining('no such user')])
    expect(handled() + other.handled()).toBe(0)
  })

  test.each<[HeaderStyle | false, Record<string, string>]>([
    ['draft-7', { 'ratelimit-policy': '1;w=3600', ratelimit: 'limit=1, remaining=0, reset=3600' }],
    ['draft-6', { 'ratelimit-limit': '1', 'ratelimit-remaining': '0', 'ratelimit-reset': '3600' }],
    ['legacy', { 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '3600' }],
    [false, {}],
  ])('a refusal with the headers %o says when to come again', async (headers, told) => {
    const { get } = await start({ limiter: limiterOf(), headers, clock: new ManualClock(0) })
    expect((await get()).status).toBe(200)
    const refused = await get()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3600'])
    const limits = [...refused.headers].filter(([name]) => name.includes('ratelimit'))
    expect(Object.fromEntries(limits)).toEqual(told)
  })

  test('requests of all methods count, also an OPTIONS ahead of another', async () => {
    const { get } = await start({ limiter: limiterOf('hard', 1) })
    await get({ method: 'OPTIONS' })
    expect((await get()).status).toBe(429)
  })

  test('in a dry run an outage denies nobody', async () => {
    const onDenied = vi.fn()
    const { get } = await start({ limiter: outage('deny'), dryRun: true, onDenied })
    const response = await get()
    expect([response.status, response.headers.get('retry-after')]).toEqual([200, null])
    expect(onDenied).toHaveBeenCalledTimes(1)
  })

  test("of a limiter's own dry run onDenied is not told", async () => {
    const onDenied = vi.fn()
    const limiter = createLimiter({
      ...{ name: 'api', dryRun: true, clock: new ManualClock(0) },
      limit: fixedWindow({ limit: 1, window: '1h' }),
    })
    const { get } = await start({ limiter, onDenied })
    expect([(await get()).status, (await get()).status]).toEqual([200, 200])
    expect(onDenied).not.toHaveBeenCalled()
  })

  test('a client that ends its side while it waits for its turn frees its place', async () => {
    const clock = new ManualClock(0)
    const limit = leakyBucket({ capacity: 9, leak: 1, per: '1s' })
    const limiter = createLimiter({ name: 'api', mode: 'soft', clock, limit })
    const { url, handled } = await start({ limiter, clock, key: globally() })
    await limiter.check('global')
    const remaining = async () => (await limiter.peek('global')).remaining
    const client = connect(Number(new URL(url).port), '127.0.0.1')
    onTestFinished(() => void client.destroy())
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await vi.waitUntil(async () => (await remaining()) === 9 - 2 - 1)
    client.end()
    await vi.waitUntil(async () => (await remaining()) === 9 - 1 - 1, { timeout: 5000 })
    await clock.advance(9_000)
    expect(handled()).toBe(0)
  })

  test('a client that hung up while its limit was asked is told of by its own address', async () => {
    const limiter = limiterOf('hard', 1)
    await limiter.check('user')
    const answers: (() => void)[] = []
    const slow = {
      name: limiter.name,
      limit: limiter.limit,
      check: async (key: string) => {
        await new Promise<void>((resolve) => answers.push(resolve))
        return limiter.check(key)
      },
      refund: limiter.refund.bind(limiter),
    }
    const told: string[] = []
    const onDenied = (_: unknown, __: unknown, facts: RequestFacts) => void told.push(facts.address)
    const served = await start({ limiter: slow as never, key: () => 'user', onDenied })
    await hangUpOnce(served, () => answers.length === 1)
    answers[0]!()
    await vi.waitUntil(() => told.length === 1)
    expect(told).toEqual(['127.0.0.1'])
  })
})

describe('the headers of an answer to what a handler throws', () => {
  const failure = new Error('no such page')
  const limiter = limiterOf('soft', 5)

  async function headersOf(server: Server): Promise<(string | null)[]> {
    const served = await listening(server, new Handled())
    onTestFinished(() => served.close())
    const { status, headers } = await fetch(served.url)
    expect(status).toBe(500)
    return ['ratelimit-policy', 'ratelimit'].map((name) => headers.get(name))
  }

  test('are kept by Express, Fastify and Hono', async () => {
    const expressApp = express().set('env', 'test')
    expressApp.use(expressLimit({ limiter }))
    expressApp.get('/', () => {
      throw failure
    })
    const fastifyApp = Fastify()
    await fastifyApp.register(fastifyLimit, { limiter })
    fastifyApp.get('/', () => {
      throw failure
    })
    await fastifyApp.ready()
    const honoApp = new Hono().onError((_, context) => context.text('failed', 500))
    honoApp.use(honoLimit({ limiter }))
    honoApp.get('/', () => {
      throw failure
    })
    for (const server of [
      createServer(expressApp),
      fastifyApp.server,
      createServer(getRequestListener(honoApp.fetch)),
    ])
      expect(await headersOf(server)).toEqual([expect.any(String), expect.any(String)])
  })

  test('are dropped by Koa', async () => {
    const app = new Koa()
    app.on('error', () => {})
    app.use(koaLimit({ limiter }))
    app.use(() => {
      throw failure
    })
    expect(await headersOf(createServer(app.callback()))).toEqual([null, null])
  })
})

test('node:http prints what goes wrong and answers 500 unless told otherwise', async () => {
  const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => printed.mockRestore())
  const failure = new Error('no such user')
  const limited = nodeLimit({ limiter: limiterOf(), key: () => Promise.reject(failure) })
  const served = await listening(createServer(limited((_, response) => response.end('hello'))), new Handled())
  onTestFinished(() => served.close())
  const response = await fetch(served.url)
  expect([response.status, await response.text()]).toEqual([500, ''])
  expect(printed.mock.calls).toEqual([[failure]])
})

test('stats() count the check that followed, and the question before it as denied', async () => {
  const limiter = limiterOf('leased', 5)
  const served = await SERVERS.node!({ limiter, key: globally() })
  onTestFinished(() => served.close())
  expect((await fetch(served.url)).status).toBe(200)
  expect(limiter.stats()).toMatchObject({ checks: 2, admitted: 1, denied: 1 })
})

test('connections without an address share one quota, unless a proxy is trusted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-unix-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const askedOf = async (options: object, name: string, headers: Record<string, string>[]) => {
    const socketPath = join(folder, name)
    const limited = nodeLimit({ limiter: limiterOf('soft', 1), ...options })
    const server = createServer(limited((_, response) => response.end('hello'))).listen(socketPath)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const statuses: (number | undefined)[] = []
    for (const each of headers) {
      const [response] = await once(get({ socketPath, headers: each, agent: false }), 'response')
      response.resume()
      statuses.push(response.statusCode)
    }
    return statuses
  }
  const clients = [{ 'x-forwarded-for': '203.0.113.1' }, { 'x-forwarded-for': '203.0.113.2' }]
  expect(await askedOf({}, 'one', clients)).toEqual([200, 429])
  expect(await askedOf({ trustProxy: 1 }, 'two', [...clients, clients[0]!])).toEqual([200, 200, 429])
})

test('Hono asks where the platform tells the address', async () => {
  const app = new Hono<{ Bindings: { address: string } }>()
  app.use(honoLimit({ limiter: limiterOf(), peer: ({ env }) => (env as { address: string }).address }))
  app.get('/', (context) => context.text('hello'))
  const from = async (address: string) => (await app.request('/', {}, { address })).status
  expect([await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([200, 429, 200])
})

test.each(['fetch', 'hono'])('%s: nobody is asked for an address that no key needs', async (name) => {
  const peer = vi.fn(() => {
    throw new Error('no address here')
  })
  const options = { limiter: limiterOf('soft', 9), key: async () => 'key', cost: async () => 1, peer }
  const request = new Request('http://localhost/')
  const response =
    name === 'fetch'
      ? await fetchLimit(options)(() => new Response('hello'))(request)
      : await new Hono()
          .use(honoLimit(options))
          .get('/', (context) => context.text('hello'))
          .fetch(request)
  expect(response.status).toBe(200)
  expect(peer.mock.calls.length).toBeLessThanOrEqual(1)
})

test('Koa: the headers of another limit may stand on several lines', async () => {
  const app = new Koa()
  app.silent = true
  app.use((context, next) => {
    for (const name of ['a', 'b']) {
      context.append('RateLimit-Policy', `"${name}";q=9;w=60`)
      context.append('RateLimit', `"${name}";r=8;t=60`)
    }
    return next()
  })
  app.use(koaLimit({ limiter: limiterOf('soft', 5) }))
  app.use((context) => {
    context.body = 'hello'
  })
  const served = await listening(createServer(app.callback()), new Handled())
  onTestFinished(() => served.close())
  const response = await fetch(served.url)
  expect(response.status).toBe(200)
  expect(listOf(response, 'ratelimit')).toEqual({
    ...{ a: { r: 8, t: 60 }, b: { r: 8, t: 60 } },
    api: { r: 4, t: 3600 },
  })
})

test('Fastify: the headers of another limit may stand on several lines, of the same name too', async () => {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  app.addHook('onRequest', (_, reply, done) => {
    reply.header('RateLimit-Policy', ['"api";q=9;w=60', '"b";q=9;w=60'])
    reply.header('RateLimit', ['"b";r=8;t=60', '"api";r=8;t=60'])
    done()
  })
  await app.register(fastifyLimit, { limiter: limiterOf('soft', 5) })
  app.get('/', () => 'hello')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const response = await fetch(url)
  expect(response.headers.get('ratelimit')).toBe('"b";r=8;t=60, "api";r=4;t=3600')
})

test('Fastify: a limiter of a route is asked by each of two registrations', async () => {
  const own = limiterOf('soft', 10, 'own')
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  await app.register(fastifyLimit, { limiter: limiterOf('soft', 9, 'one') })
  await app.register(fastifyLimit, { limiter: limiterOf('soft', 9, 'two') })
  app.get('/', { config: { spillway: { limiter: own } } }, () => 'hello')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  expect(listOf(await fetch(url), 'ratelimit')).toEqual({ own: { r: 8, t: 3600 } })
})
