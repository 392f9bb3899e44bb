import { createServer } from 'node:http'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { type FetchHandler, rateLimit } from '@spillway/http/fetch'
import { CAUGHT, Handled, listening, type Serve } from './served.ts'

/** A platform of fetch handlers that hands them Node's request beside the `Request`. */
export const serveFetch: Serve = (options, { before, after, further = [] } = {}) => {
  const handled = new Handled()
  const last: FetchHandler<[HttpBindings]> = () => {
    after?.()
    return new Response(handled.greet())
  }
  const limited = [options, ...further]
    .map((each) =>
      rateLimit<[HttpBindings]>({ ...each, peer: (_, { incoming }) => incoming.socket.remoteAddress }),
    )
    .reduceRight((handler, limit) => limit(handler), last)
  const platform = getRequestListener(
    async (request, bindings) => {
      before?.(undefined)
      return limited(request, bindings as HttpBindings)
    },
    { errorHandler: (error) => new Response(CAUGHT + (error as Error).message, { status: 500 }) },
  )
  return listening(createServer(platform), handled)
}
