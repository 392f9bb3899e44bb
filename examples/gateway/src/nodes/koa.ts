import { createServer } from 'node:http'
import { rateLimit } from '@spillway/http/koa'
import Koa from 'koa'
import type { CreateGateway } from './gateway-node.ts'

export const createKoaGateway: CreateGateway = async ({ limits, forward, name }) => {
  const app = new Koa()
  const limitOf = new Map(Object.entries(limits).map(([path, options]) => [path, rateLimit(options)]))
  app.use((context, next) => {
    context.set('X-Served-By', name)
    return next()
  })
  app.use((context, next) => limitOf.get(context.path)?.(context, next))
  app.use(async (context) => {
    context.body = await forward(context.path)
  })
  return createServer(app.callback())
}
