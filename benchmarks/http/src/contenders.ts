import { createServer, type Server } from 'node:http'
import fastifyRateLimit from '@fastify/rate-limit'
import { createLimiter, fixedWindow, type Store } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { rateLimit as expressLimit } from '@spillway/http/express'
import { rateLimit as fastifyLimit } from '@spillway/http/fastify'
import express, { type RequestHandler } from 'express'
import { rateLimit as expressRateLimit } from 'express-rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'

/** More than any round asks for: what an allowed request costs is the question. */
const LIMIT = 2 ** 31 - 1
const WINDOW_MS = 60_000

/** A server that answers `hello`, with a limit for each client address or without. */
export interface Contender {
  readonly framework: 'fastify' | 'express'
  readonly limit: string
  create(redisUrl: string): Promise<Server>
}

const softLimiter = (store?: Store) =>
  createLimiter({
    name: 'bench',
    mode: 'soft',
    store,
    limit: fixedWindow({ limit: LIMIT, window: WINDOW_MS }),
  })

async function fastifyServer(
  limit: (app: FastifyInstance) => PromiseLike<unknown> | undefined,
): Promise<Server> {
  const app = Fastify()
  await limit(app)
  app.get('/', (_, reply) => {
    reply.send('hello')
  })
  await app.ready()
  return app.server
}

/** @param place of the limit: on the route, where Express calls it for least, or before all of them */
async function expressServer(limit?: RequestHandler, place: 'route' | 'app.use' = 'route'): Promise<Server> {
  const app = express()
  const handlers: RequestHandler[] = [
    (_, response) => {
      response.send('hello')
    },
  ]
  if (limit && place === 'app.use') app.use(limit)
  else if (limit) handlers.unshift(limit)
  app.get('/', handlers)
  return createServer(app)
}

/** The least that any limiter adds to an answer: what it tells the client, the same each time. */
const TOLD = [
  ['ratelimit-policy', '"bench";q=2147483647;w=60'],
  ['ratelimit', '"bench";r=2147400000;t=42'],
] as const

const expressHeaders: RequestHandler = (_, response, next) => {
  for (const [name, value] of TOLD) response.setHeader(name, value)
  next()
}

export const CONTENDERS: readonly Contender[] = [
  { framework: 'fastify', limit: 'none', create: () => fastifyServer(() => undefined) },
  {
    framework: 'fastify',
    limit: 'none, two constant headers',
    create: () =>
      fastifyServer((app) => {
        app.addHook('onRequest', (_, reply, goOn) => {
          for (const [name, value] of TOLD) reply.header(name, value)
          goOn()
        })
        return undefined
      }),
  },
  {
    framework: 'fastify',
    limit: '@spillway/http, soft',
    create: () => fastifyServer((app) => app.register(fastifyLimit, { limiter: softLimiter() })),
  },
  {
    framework: 'fastify',
    limit: '@spillway/http, soft, headers: false',
    create: () =>
      fastifyServer((app) => app.register(fastifyLimit, { limiter: softLimiter(), headers: false })),
  },
  {
    framework: 'fastify',
    limit: '@spillway/http, soft over Redis',
    create: (redisUrl) =>
      fastifyServer((app) => app.register(fastifyLimit, { limiter: softLimiter(redisStore(redisUrl)) })),
  },
  {
    framework: 'fastify',
    limit: '@fastify/rate-limit, memory',
    create: () =>
      fastifyServer((app) => app.register(fastifyRateLimit, { max: LIMIT, timeWindow: WINDOW_MS })),
  },
  { framework: 'express', limit: 'none', create: () => expressServer() },
  {
    framework: 'express',
    limit: 'none, two constant headers',
    create: () => expressServer(expressHeaders),
  },
  {
    framework: 'express',
    limit: '@spillway/http, soft',
    create: () => expressServer(expressLimit({ limiter: softLimiter() })),
  },
  {
    framework: 'express',
    limit: '@spillway/http, soft, headers: false',
    create: () => expressServer(expressLimit({ limiter: softLimiter(), headers: false })),
  },
  {
    framework: 'express',
    limit: '@spillway/http, soft over Redis',
    create: (redisUrl) => expressServer(expressLimit({ limiter: softLimiter(redisStore(redisUrl)) })),
  },
  {
    framework: 'express',
    limit: 'express-rate-limit, memory',
    create: () => expressServer(expressRateLimit({ limit: LIMIT, windowMs: WINDOW_MS })),
  },
  {
    framework: 'express',
    limit: 'none, two constant headers, by app.use',
    create: () => expressServer(expressHeaders, 'app.use'),
  },
  {
    framework: 'express',
    limit: '@spillway/http, soft, by app.use',
    create: () => expressServer(expressLimit({ limiter: softLimiter() }), 'app.use'),
  },
  {
    framework: 'express',
    limit: 'express-rate-limit, memory, by app.use',
    create: () => expressServer(expressRateLimit({ limit: LIMIT, windowMs: WINDOW_MS }), 'app.use'),
  },
]

export const nameOf = ({ framework, limit }: Pick<Contender, 'framework' | 'limit'>) =>
  `${framework}: ${limit}`
