import { createServer } from 'node:http'
import { rateLimit } from '@spillway/http/express'
import express from 'express'
import type { CreateGateway } from './gateway-node.ts'

export const createExpressGateway: CreateGateway = async ({ limits, forward, name }) => {
  const app = express()
  app.use((_, response, next) => {
    response.set('X-Served-By', name)
    next()
  })
  for (const [path, options] of Object.entries(limits)) {
    app.get(path, rateLimit(options), async (_, response) => {
      response.send(await forward(path))
    })
  }
  return createServer(app)
}
