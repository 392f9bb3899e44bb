import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { rateLimit } from '@spillway/http/express'
import connect from 'connect'
import express5, { type ErrorRequestHandler, type Express } from 'express'
import express4 from 'express4'
import { CAUGHT, Handled, listening, type Serve } from './served.ts'

const onError: ErrorRequestHandler = (error, _request, response, _next) => {
  response.status(500).send(CAUGHT + error.message)
}

const serveExpress =
  (express: () => Express): Serve =>
  (options, { before, after, further = [] } = {}) => {
    const handled = new Handled()
    const app = express()
    app.use((_, response, next) => {
      before?.(response)
      next()
    })
    for (const each of [options, ...further]) app.use(rateLimit(each))
    app.use((_, response) => {
      after?.()
      const greeting = handled.greet()
      if (response.headersSent) response.end(greeting)
      else response.send(greeting)
    })
    app.use(onError)
    return listening(createServer(app), handled)
  }

export const serveExpress5 = serveExpress(express5)
export const serveExpress4 = serveExpress(express4)

export const serveConnect: Serve = (options, { before, after, further = [] } = {}) => {
  const handled = new Handled()
  const app = connect()
  app.use((_, response, next) => {
    before?.(response)
    next()
  })
  for (const each of [options, ...further]) app.use(rateLimit<IncomingMessage>(each))
  app.use((_, response) => {
    after?.()
    response.end(handled.greet())
  })
  app.use((error: Error, _request: IncomingMessage, response: ServerResponse, _next: () => void) => {
    response.statusCode = 500
    response.end(CAUGHT + error.message)
  })
  return listening(createServer(app), handled)
}
