import { rateLimit } from '@spillway/http/fastify'
import Fastify from 'fastify'
import type { CreateGateway } from './gateway-node.ts'

export const createFastifyGateway: CreateGateway = async ({ limits, forward, name }) => {
  const app = Fastify()
  app.addHook('onRequest', async (_, reply) => {
    reply.header('X-Served-By', name)
  })
  await app.register(rateLimit)
  for (const [path, options] of Object.entries(limits)) {
    app.get(path, { config: { spillway: options } }, () => forward(path))
  }
  await app.ready()
  return app.server
}
