import { createServer, type RequestListener } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import Router from '@koa/router'
import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { byRoute } from '@spillway/http'
import { rateLimit as expressLimit } from '@spillway/http/express'
import { rateLimit as fastifyLimit } from '@spillway/http/fastify'
import { rateLimit as honoLimit } from '@spillway/http/hono'
import { rateLimit as koaLimit } from '@spillway/http/koa'
import { rateLimit as nodeLimit } from '@spillway/http/node'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { expect, onTestFinished, test } from 'vitest'
import { Handled, listening } from './servers/served.ts'

// A quota for each route, in each framework where it knows its routes.

const limiterOf = () =>
  createLimiter({ name: 'route', clock: new ManualClock(0), limit: fixedWindow({ limit: 1, window: '1h' }) })

const SERVERS: Record<string, () => Promise<RequestListener>> = {
  async express() {
    const app = express()
    const limit = expressLimit({ limiter: limiterOf(), key: byRoute() })
    const users = express.Router()
    users.get('/:id', limit, (_, response) => void response.send('user'))
    users.get('/:id/posts', limit, (_, response) => void response.send('posts'))
    app.use('/users', users)
    return app
  },
  async fastify() {
    const app = Fastify()
    await app.register(fastifyLimit, { limiter: limiterOf(), key: byRoute() })
    app.get('/users/:id', () => 'user')
    app.get('/users/:id/posts', () => 'posts')
    await app.ready()
    return app.routing as RequestListener
  },
  async koa() {
    const app = new Koa()
    const router = new Router({ prefix: '/users' })
    const limit = koaLimit({ limiter: limiterOf(), key: byRoute() })
    router.get('/:id', limit, (context) => {
      context.body = 'user'
    })
    router.get('/:id/posts', limit, (context) => {
      context.body = 'posts'
    })
    app.use(router.routes())
    return app.callback()
  },
  async hono() {
    const app = new Hono()
    app.use(honoLimit({ limiter: limiterOf(), key: byRoute() }))
    app.get('/users/:id', (context) => context.text('user'))
    app.get('/users/:id/posts', (context) => context.text('posts'))
    return getRequestListener(app.fetch) as RequestListener
  },
}

test.each(Object.entries(SERVERS))('%s tells routes apart by their patterns', async (_, create) => {
  const served = await listening(createServer(await create()), new Handled())
  onTestFinished(() => served.close())
  const status = async (path: string, method = 'GET') => (await fetch(served.url + path, { method })).status
  expect(await status('/users/1')).toBe(200)
  expect(await status('/users/2')).toBe(429)
  expect(await status('/users/3', 'HEAD')).toBe(429)
  expect(await status('/users/2/posts')).toBe(200)
})

test.each([express, express4 as typeof express])(
  'Express: a mount path in other letters is no other route',
  async (create) => {
    const app = create()
    const users = create.Router()
    users.get(
      '/:id',
      expressLimit({ limiter: limiterOf(), key: byRoute() }),
      (_, response) => void response.send('user'),
    )
    app.use('/users', users)
    const served = await listening(createServer(app), new Handled())
    onTestFinished(() => served.close())
    const statuses: number[] = []
    for (const path of ['/users/1', '/Users/1', '/uSERs/2'])
      statuses.push((await fetch(served.url + path)).status)
    expect(statuses).toEqual([200, 429, 429])
  },
)

test.each([
  ['behind it', (app: Hono) => app.get('*', (context) => context.text('a file'))],
  ['that takes all methods, behind it', (app: Hono) => app.all('*', (context) => context.text('a file'))],
])('Hono: a route is its own beside a catch-all %s', async (_, addLast) => {
  const limit = honoLimit({ limiter: limiterOf(), key: byRoute() })
  const app = new Hono()
  app.use(limit)
  app.get('*', (_, next) => next()) // such as a cache
  app.use('/users/:id', (_, next) => next())
  app.get('/users/me', (context) => context.text('me'))
  app.get('/users/:id', (context) => context.text('user'))
  app.all('/any', (context) => context.text('any'))
  app.get('/files/*', (context) => context.text('file'))
  addLast(app)
  const asked = ['/users/me', '/users/1', '/users/2', '/any', '/files/1', '/files/2', '/other', '/another']
  const statuses: number[] = []
  for (const path of asked) statuses.push((await app.request(path)).status)
  expect(statuses).toEqual([200, 200, 429, 200, 200, 429, 200, 429])
})

test('Hono: on the route itself the limit knows that route', async () => {
  const limit = honoLimit({ limiter: limiterOf(), key: byRoute() })
  const app = new Hono()
  app.get('/files/*', limit, (context) => context.text('file'))
  app.get('/users/:id', limit, (context) => context.text('user'))
  app.get('*', limit, (context) => context.text('a file'))
  const statuses: number[] = []
  for (const path of ['/files/1', '/users/1', '/users/2', '/other'])
    statuses.push((await app.request(path)).status)
  expect(statuses).toEqual([200, 200, 429, 200])
})

test('Koa: in router.use too a route is told by its own pattern', async () => {
  const app = new Koa()
  const router = new Router({ prefix: '/v1' })
  router.use(koaLimit({ limiter: limiterOf(), key: byRoute() }))
  router.get(['/users/:id', '/posts/:id'], (context) => {
    context.body = 'found'
  })
  app.use(router.routes())
  const served = await listening(createServer(app.callback()), new Handled())
  onTestFinished(() => served.close())
  const status = async (path: string, method = 'GET') => (await fetch(served.url + path, { method })).status
  expect(await status('/v1/users/1')).toBe(200)
  expect(await status('/v1/users/2')).toBe(429)
  expect(await status('/v1/users/2', 'HEAD')).toBe(429)
  expect(await status('/v1/posts/1')).toBe(200)
  expect(await status('/v1/none')).toBe(404)
})

test('a server without routes says so', async () => {
  const errors: unknown[] = []
  const limited = nodeLimit({
    limiter: limiterOf(),
    key: byRoute(),
    onError(error, _, response) {
      errors.push(error)
      response.end()
    },
  })
  const served = await listening(createServer(limited((_, response) => response.end('hello'))), new Handled())
  onTestFinished(() => served.close())
  await fetch(served.url)
  expect(errors).toMatchObject([
    { code: 'ERR_OPTION', message: expect.stringContaining('give byRoute a function') },
  ])
})
