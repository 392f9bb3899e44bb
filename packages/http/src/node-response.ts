import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { HeaderAccess } from './headers.ts'
import type { RateLimit, Verdict } from './rate-limit.ts'
import { type Answer, takesBody, written } from './refusal.ts'
import type { RequestSource } from './request-facts.ts'

/** What waits for a connection to close: one listener for all, since there may be many requests on it. */
const closing = new WeakMap<Socket, Set<() => void>>()

function listenersOf(socket: Socket): Set<() => void> {
  let listeners = closing.get(socket)
  if (listeners === undefined) {
    const those = new Set<() => void>()
    socket.once('close', () => {
      for (const listener of [...those]) listener()
    })
    closing.set(socket, those)
    listeners = those
  }
  return listeners
}

/** HTTP/2's responses do not tell that they are closed, but their streams do. */
function isClosed(response: ServerResponse & { stream?: { destroyed?: boolean } }): boolean {
  return response.closed || response.stream?.destroyed === true
}

/** Where Node's own requests keep things; frameworks on top of it know more. */
export const nodeSource = {
  peer: (request: IncomingMessage) => request.socket.remoteAddress,
  header(request: IncomingMessage, name: string) {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  },
  method: (request: IncomingMessage) => request.method ?? 'GET',
  route: () => undefined,
  onHangUp(request: IncomingMessage, response: ServerResponse, listener: () => void) {
    const { socket } = request
    // Of pipelined requests Node tells only the first one's response that the connection is closed.
    const isBehindAnother = response.socket === null
    if (isClosed(response) || (isBehindAnother && socket.destroyed)) {
      listener()
      return () => {}
    }
    const stop = () => {
      response.off('close', hungUp)
      if (isBehindAnother) closing.get(socket)?.delete(hungUp)
    }
    const hungUp = () => {
      stop()
      listener()
    }
    response.once('close', hungUp)
    if (isBehindAnother) listenersOf(socket).add(hungUp)
    return stop
  },
} satisfies RequestSource<IncomingMessage, ServerResponse>

/**
 * Where Express has mounted the router of a route: as the client wrote it, since Express does not tell the pattern. Paths
 * match in any case by default, and a client that varies it is not to find new routes.
 */
export function mountOf(baseUrl = ''): string {
  return baseUrl.toLowerCase()
}

/** What a response's header holds, which may stand on several lines. */
export function headerText(value: number | string | readonly string[] | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  return Array.isArray(value) ? value.join(', ') : String(value)
}

/** The headers of a response of Node's; where they were sent, writing throws. */
export const nodeHeaders: HeaderAccess<ServerResponse> = {
  get: (response, name) => headerText(response.getHeader(name)),
  set(response, name, value) {
    response.setHeader(name, value)
  },
}

/**
 * Carries a verdict out on a response of Node's.
 *
 * @returns whether the handler is to run
 */
export function carryOut<Req extends IncomingMessage>(
  limit: RateLimit<Req, ServerResponse>,
  verdict: Verdict | undefined,
  response: ServerResponse,
): boolean {
  if (verdict === undefined) return true
  if (verdict.gone) return false
  try {
    limit.writeHeaders(verdict, response, nodeHeaders)
  } catch (error) {
    // Asked only here: on Express's responses the question costs more than the whole decision.
    if (!response.headersSent) throw error
  }
  if (verdict.answer === undefined) return true
  send(verdict.answer, response)
  return false
}

function send(answer: Answer, response: ServerResponse): void {
  if (response.headersSent) {
    endWhereItIs(response)
    return
  }
  const { headers, body } = written(answer)
  const hasBody = takesBody(answer.status)
  response.statusCode = answer.status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (hasBody) response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(hasBody && response.req.method !== 'HEAD' ? body : undefined)
}

/** A refusal that comes after headers were sent: they can't be taken back, but nothing more is added. */
export function endWhereItIs(response: ServerResponse): void {
  if (!response.writableEnded) response.end()
}
