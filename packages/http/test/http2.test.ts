import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type Http2ServerRequest,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { createLimiter, fixedWindow, leakyBucket } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import type { RateLimitOptions } from '@spillway/http'
import { rateLimit as fastifyLimit } from '@spillway/http/fastify'
import { rateLimit as fetchLimit } from '@spillway/http/fetch'
import { rateLimit as honoLimit } from '@spillway/http/hono'
import { rateLimit as koaLimit } from '@spillway/http/koa'
import { rateLimit as nodeLimit } from '@spillway/http/node'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { limiterOf } from './limiter-of.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

const LISTENERS: Record<string, (options: RateLimitOptions<unknown>, handle: () => void) => Listener> = {
  node: (options, handle) =>
    nodeLimit(options)((_, response) => {
      handle()
      response.end('hello')
    }),
  koa: (options, handle) => {
    const app = new Koa()
    app.silent = true
    app.use(koaLimit(options)).use((context) => {
      handle()
      context.body = 'hello'
    })
    return app.callback()
  },
  hono: (options, handle) => {
    const app = new Hono()
    app.use(honoLimit(options)).get('/', (context) => {
      handle()
      return context.text('hello')
    })
    return getRequestListener(app.fetch) as Listener
  },
  fetch: (options, handle) => {
    const handler = fetchLimit(options)(() => {
      handle()
      return new Response('hello')
    })
    return getRequestListener(handler as never) as Listener
  },
  fastify: (options, handle) => {
    let listener: Listener
    const app = Fastify({
      http2: true,
      serverFactory: (handler: unknown) => {
        listener = handler as Listener
        return createServer()
      },
    } as never)
    app.register(fastifyLimit, options).get('/', async () => {
      handle()
      return 'hello'
    })
    return async (request, response) => {
      await app.ready()
      listener(request, response)
    }
  },
}

/** Has the server listen, until the test has finished. */
async function clientOf(server: Http2Server): Promise<ClientHttp2Session> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  return client
}

test.each(Object.entries(LISTENERS))(
  '%s over HTTP/2: a stream that is given up frees its place, before it waits and while it does',
  async (_, listenerOf) => {
    const clock = new ManualClock(0)
    const limit = leakyBucket({ capacity: 9, leak: 1, per: '1s' })
    const limiter = createLimiter({ name: 'api', mode: 'soft', clock, limit })
    await limiter.check('key')
    const lookups: (() => void)[] = []
    const key = () => new Promise<string>((resolve) => lookups.push(() => resolve('key')))
    const handle = vi.fn()
    const streams = new Set<unknown>()
    const listener = listenerOf({ limiter, clock, key }, handle)
    const server = createServer((request, response) => {
      streams.add(request.stream)
      request.stream.once('close', () => streams.delete(request.stream))
      listener(request as unknown as IncomingMessage, response as unknown as ServerResponse)
    })
    const client = await clientOf(server)
    const remaining = async () => (await limiter.peek('key')).remaining

    for (const waits of [false, true]) {
      const stream = client.request({ ':path': '/' })
      stream.on('error', () => {})
      await vi.waitUntil(() => lookups.length === 1)
      const giveUp = async () => {
        stream.close(constants.NGHTTP2_CANCEL)
        await vi.waitUntil(() => streams.size === 0)
      }
      if (!waits) await giveUp()
      lookups.pop()!()
      if (waits) {
        await vi.waitUntil(async () => (await remaining()) === 9 - 1 - 2)
        await giveUp()
      } else await vi.waitUntil(() => limiter.stats().admitted === 2)
      await vi.waitUntil(async () => (await remaining()) === 9 - 1 - 1)
    }
    await clock.advance(9_000)
    expect(handle).not.toHaveBeenCalled()
  },
)

test('a handler of HTTP/2 gets its own requests, and refusals go out as streams', async () => {
  const limiter = createLimiter({
    name: 'api',
    clock: new ManualClock(0),
    limit: fixedWindow({ limit: 1, window: '1h' }),
  })
  const limited = nodeLimit<Http2ServerRequest>({ limiter, key: ({ authority }) => authority })
  const server = createServer(
    limited((request, response) => {
      response.setHeader('x-stream', String(request.stream.id))
      response.end(`hello ${request.authority}`)
    }),
  )
  const client = await clientOf(server)
  const get = async () => {
    const stream = client.request({ ':path': '/' })
    const [headers] = await once(stream, 'response')
    const body = await stream.setEncoding('utf8').toArray()
    return { headers, body: body.join('') }
  }
  expect(await get()).toMatchObject({
    headers: { ':status': 200, 'x-stream': '1', ratelimit: '"api";r=0;t=3600' },
    body: expect.stringMatching(/^hello 127\.0\.0\.1:\d+$/),
  })
  const refused = await get()
  expect(refused.headers).toMatchObject({
    ':status': 429,
    ratelimit: '"api";r=0;t=3600',
    'retry-after': '3600',
    'content-type': 'application/problem+json',
  })
  expect(JSON.parse(refused.body)).toMatchObject({ status: 429, 'violated-policies': ['api'] })
})

describe.each(Object.entries(LISTENERS))('%s over HTTP/2', (_, listenerOf) => {
  async function refused(mode: 'soft' | 'hard', headers: object) {
    const options = { limiter: limiterOf(mode), key: () => 'key', response: () => ({ headers }) }
    const listener = listenerOf(options as unknown as RateLimitOptions<unknown>, () => {})
    const server = createServer((request, response) =>
      listener(request as unknown as IncomingMessage, response as unknown as ServerResponse),
    )
    const client = await clientOf(server)
    const get = async () => {
      const stream = client.request({ ':path': '/' }, { signal: AbortSignal.timeout(2000) })
      const [answered] = await once(stream, 'response')
      await stream.toArray()
      return answered
    }
    expect((await get())[':status']).toBe(200)
    return get()
  }

  beforeEach(() => {
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(process, 'emitWarning')]
    for (const spy of printed) spy.mockImplementation(() => {})
    onTestFinished(() => {
      for (const spy of printed) spy.mockRestore()
    })
  })

  test.each(['soft', 'hard'] as const)(
    'what is of a connection is for the server to say (%s)',
    async (mode) => {
      for (const name of ['Upgrade', 'Keep-Alive', 'TE', 'Proxy-Connection', 'HTTP2-Settings'])
        expect((await refused(mode, { [name]: 'x' }))[':status'], name).toBe(500)
      expect((await refused(mode, { connection: 'trailers' }))[':status']).toBe(500)
      expect((await refused(mode, { Connection: ['trailers'] }))[':status']).toBe(500)
      expect((await refused(mode, { Connection: 'close' }))[':status']).toBe(429)
    },
  )

  test.each(['soft', 'hard'] as const)('several values are one line, but for cookies (%s)', async (mode) => {
    const headers = { 'Retry-After': ['1', '2'], Location: ['/a', '/b'], 'Set-Cookie': ['a=1', 'b=2'] }
    expect(await refused(mode, headers)).toMatchObject({
      ...{ ':status': 429, 'retry-after': '1, 2', location: '/a, /b', 'set-cookie': ['a=1', 'b=2'] },
    })
  })
})
