import { globally } from '@spillway/http'
import { rateLimit as fetchLimit } from '@spillway/http/fetch'
import { rateLimit as honoLimit } from '@spillway/http/hono'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { limiterOf } from './limiter-of.ts'

// Without @hono/node-server, which puts a `Response` of its own in the place of the platform's.

test.each([204, 205, 304])('an answer of %i has no body, not even an empty one', async (status) => {
  const options = { limiter: limiterOf(), key: globally(), response: () => ({ status, body: '' }) }
  const handler = fetchLimit(options)(() => new Response('hello'))
  const app = new Hono().use(honoLimit({ ...options, limiter: limiterOf() })).get('/', (c) => c.text('hello'))
  for (const expected of [200, status]) {
    expect((await handler(new Request('http://localhost/'))).status).toBe(expected)
    expect((await app.request('/')).status).toBe(expected)
  }
})

test('a handler that gives no response, as in Bun where the request became a WebSocket', async () => {
  const upgrade = () => undefined as unknown as Response
  expect(await fetchLimit({ limiter: limiterOf(), key: globally() })(upgrade)(new Request('http://a/'))).toBe(
    undefined,
  )
})
