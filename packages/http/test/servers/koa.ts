import { createServer } from 'node:http'
import { rateLimit } from '@spillway/http/koa'
import Koa from 'koa'
import { CAUGHT, Handled, listening, type Serve } from './served.ts'

export const serveKoa: Serve = (options, { before, after, further = [] } = {}) => {
  const handled = new Handled()
  const app = new Koa()
  app.use(async (context, next) => {
    try {
      await next()
    } catch (error) {
      context.status = 500
      context.body = CAUGHT + (error as Error).message
    }
  })
  app.use((context, next) => {
    before?.(context.res)
    return next()
  })
  for (const each of [options, ...further]) app.use(rateLimit(each))
  app.use((context) => {
    after?.()
    context.body = handled.greet()
  })
  return listening(createServer(app.callback()), handled)
}
