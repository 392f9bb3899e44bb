import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { byAddress, byApiKey, firstOf, globally } from '@spillway/http'
import { rateLimit as fetchLimit } from '@spillway/http/fetch'
import { rateLimit as honoLimit } from '@spillway/http/hono'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'

const limiterOf = (mode: 'hard' | 'soft' = 'hard') =>
  createLimiter({
    name: 'api',
    mode,
    clock: new ManualClock(0),
    limit: fixedWindow({ limit: 1, window: '1h' }),
  })

const request = () => new Request('http://localhost/')

/** The address of a server behind this one; what is fetched from it has headers that can't be written. */
async function upstream(): Promise<string> {
  const server = createServer((_, response) => response.setHeader('X-Upstream', 'yes').end('from upstream'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a handler answers without a promise in soft mode', () => {
  const handler = fetchLimit({ limiter: limiterOf('soft'), key: globally() })(() => new Response('hello'))
  expect(handler(request())).toBeInstanceOf(Response)
  expect(handler(request())).toMatchObject({ status: 429 })
})

test('a response of which there is no copy passes as it is, such as a switch to a WebSocket', async () => {
  const limit = fetchLimit({ limiter: limiterOf('soft'), key: globally() })
  const failing = Response.error()
  expect(await limit(() => failing)(request())).toBe(failing)
  // As Deno.upgradeWebSocket makes it; Node makes none.
  const upgrade = Object.defineProperty(Response.error(), 'status', { value: 101 })
  expect(await fetchLimit({ limiter: limiterOf(), key: globally() })(() => upgrade)(request())).toBe(upgrade)
  const app = new Hono().use(honoLimit({ limiter: limiterOf(), key: globally() })).get('/', () => upgrade)
  expect(await app.request('/')).toBe(upgrade)
})

test('what a handler gives that is no response passes as it is: the platform says so', async () => {
  const limit = fetchLimit({ limiter: limiterOf('soft'), key: globally() })
  const wrong = { hello: 'world' }
  expect(await limit(() => wrong as unknown as Response)(request())).toBe(wrong)
})

test('headers reach responses that another server made', async () => {
  const url = await upstream()
  const handler = fetchLimit({ limiter: limiterOf(), key: globally() })(() => fetch(url))
  const app = new Hono()
  app.use(honoLimit({ limiter: limiterOf(), key: globally() }))
  app.get('/', () => fetch(url))
  for (const response of [await handler(request()), await app.fetch(request())]) {
    expect(response.headers.get('ratelimit')).toMatch('"api";r=0')
    expect(response.headers.get('x-upstream')).toBe('yes')
    expect(await response.text()).toBe('from upstream')
  }
})

test('what the platform hands a handler comes along', async () => {
  const limited = fetchLimit<[{ address: string }]>({
    limiter: limiterOf(),
    peer: (_, { address }) => address,
  })
  const handler = limited((_, { address }) => new Response(address))
  expect(await (await handler(request(), { address: '192.0.2.1' })).text()).toBe('192.0.2.1')
  expect((await handler(request(), { address: '192.0.2.1' })).status).toBe(429)
  expect((await handler(request(), { address: '192.0.2.2' })).status).toBe(200)
})

test('a limit that could tell no client from another says so', async () => {
  expect(() => fetchLimit({ limiter: limiterOf() })).toThrow(
    'a Request has no address to tell clients apart by',
  )
  expect(() => fetchLimit({ limiter: limiterOf(), trustProxy: 1 })).not.toThrow()
  expect(() => fetchLimit({ limiter: limiterOf(), trustProxy: () => true })).not.toThrow()

  const app = new Hono()
  app.onError((error, context) => context.text(error.message, 500))
  app.use(honoLimit({ limiter: limiterOf() }))
  const response = await app.fetch(request())
  expect([response.status, await response.text()]).toEqual([500, expect.stringContaining('getConnInfo')])
})

test.each([{ trustProxy: ['loopback', '10.0.0.0/8'] }, { trustProxy: '10.0.0.0/8' }, { trustProxy: 0 }])(
  'where nobody tells the other end, it is in no subnet, and clients do not share a quota for it: %o',
  async (trust) => {
    expect(() => fetchLimit({ limiter: limiterOf(), ...trust })).toThrow('a Request has no address')
    const app = new Hono()
    app.onError((error, context) => context.text(error.message, 500))
    app.use(honoLimit({ limiter: limiterOf(), ...trust }))
    expect((await app.fetch(request())).status).toBe(500)
  },
)

test('a key that asks for an address that nobody tells fails, and no two clients share a quota', async () => {
  const key = firstOf(byApiKey(), byAddress())
  const handler = fetchLimit({ limiter: limiterOf(), key })(() => new Response('hello'))
  const headers = { 'x-api-key': 'k1' }
  expect((await handler(new Request('http://localhost/', { headers }))).status).toBe(200)
  expect(() => handler(request())).toThrow("the client's address is not known here")
})

test('takes and gives handlers as the platforms type them', async () => {
  class PlatformRequest extends Request {
    readonly params = { id: '7' }
  }
  const limited = fetchLimit({ limiter: limiterOf(), key: globally() })
  type Context = { params: Promise<{ id: string }> }
  // Next.js, whose requests are NextRequest.
  const route: (
    request: PlatformRequest,
    context: Context,
  ) => Promise<Response | undefined> | Response | undefined = limited(
    async (request: PlatformRequest, { params }: Context) =>
      new Response(request.params.id + (await params).id),
  )
  // Bun and Deno.
  const serve: {
    fetch(request: Request, server: object): Response | undefined | Promise<Response | undefined>
  } = { fetch: limited((request) => (request.url === '' ? undefined : new Response('hello'))) }
  const response = await route(new PlatformRequest('http://localhost/'), {
    params: Promise.resolve({ id: '8' }),
  })
  expect(await response?.text()).toBe('78')
  expect((await serve.fetch(request(), {}))?.status).toBe(429)
})

test('what a handler gives that is only like a promise becomes one', async () => {
  const response = new Response('hello')
  const like: PromiseLike<Response> = {
    // biome-ignore lint/suspicious/noThenProperty: that is what it is about
    then: (onFulfilled) => Promise.resolve(response).then(onFulfilled),
  }
  expect(fetchLimit({ limiter: limiterOf('soft'), key: globally() })(() => like)(request())).toBeInstanceOf(
    Promise,
  )
  expect(
    fetchLimit({ limiter: limiterOf(), key: globally(), skip: () => true })(() => like)(request()),
  ).toBeInstanceOf(Promise)
})

test('X-Forwarded-For tells the client where only the platform connects', async () => {
  const handler = fetchLimit({ limiter: limiterOf(), trustProxy: 1 })(() => new Response('hello'))
  const from = async (address: string) =>
    (await handler(new Request('http://localhost/', { headers: { 'x-forwarded-for': address } }))).status
  expect([await from('203.0.113.1'), await from('203.0.113.1'), await from('203.0.113.2')]).toEqual([
    200, 429, 200,
  ])
})
