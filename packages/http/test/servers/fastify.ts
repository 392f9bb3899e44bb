import { rateLimit } from '@spillway/http/fastify'
import Fastify from 'fastify'
import { CAUGHT, Handled, listening, type Serve } from './served.ts'

export const serveFastify: Serve = async (options, { before, after, further = [] } = {}) => {
  const handled = new Handled()
  const app = Fastify({ forceCloseConnections: true })
  app.setErrorHandler((error: Error, _, reply) => reply.code(500).send(CAUGHT + error.message))
  app.addHook('onRequest', (_, reply, done) => {
    before?.(reply.raw)
    done()
  })
  for (const each of [options, ...further]) await app.register(rateLimit, each)
  app.addHook('onRequest', (_request, _reply, done) => {
    after?.()
    done()
  })
  app.all('/*', (_, reply) => {
    const greeting = handled.greet()
    if (!reply.raw.headersSent) return greeting
    reply.hijack()
    return reply.raw.end(greeting)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { ...(await listening(app.server, handled)), close: () => app.close() }
}
