import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { rateLimit } from '@spillway/http/hono'
import { Hono } from 'hono'
import type { CreateGateway } from './gateway-node.ts'

export const createHonoGateway: CreateGateway = async ({ limits, forward, name }) => {
  const app = new Hono()
  app.use(async (context, next) => {
    await next()
    context.header('X-Served-By', name)
  })
  for (const [path, options] of Object.entries(limits)) {
    app.get(path, rateLimit(options), async (context) => context.text(await forward(path)))
  }
  return createAdaptorServer({ fetch: app.fetch }) as Server
}
