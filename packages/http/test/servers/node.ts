import { createServer } from 'node:http'
import { type NodeHandler, rateLimit } from '@spillway/http/node'
import { CAUGHT, Handled, listening, type Serve } from './served.ts'

export const serveNode: Serve = (options, { before, after, further = [] } = {}) => {
  const handled = new Handled()
  const last: NodeHandler = (_, response) => {
    after?.()
    response.end(handled.greet())
  }
  const limits = [options, ...further].map((each) =>
    rateLimit({
      ...each,
      onError(error, _, response) {
        response.statusCode = 500
        response.end(CAUGHT + (error as Error).message)
      },
    }),
  )
  const limited = limits.reduceRight((handler, limit) => limit(handler), last)
  const server = createServer((request, response) => {
    before?.(response)
    limited(request, response)
  })
  return listening(server, handled)
}
