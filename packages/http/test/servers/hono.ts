import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { rateLimit } from '@spillway/http/hono'
import { Hono } from 'hono'
import { CAUGHT, Handled, listening, type Serve } from './served.ts'

export const serveHono: Serve = (options, { before, after, further = [] } = {}) => {
  const handled = new Handled()
  const app = new Hono()
  app.onError((error, context) => context.text(CAUGHT + error.message, 500))
  app.use((_, next) => {
    before?.(undefined)
    return next()
  })
  for (const each of [options, ...further]) app.use(rateLimit(each))
  app.all('*', (context) => {
    after?.()
    return context.text(handled.greet())
  })
  return listening(createAdaptorServer({ fetch: app.fetch }) as Server, handled)
}
