import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { HeaderAccess } from './headers.ts'
import type { RateLimit, Verdict } from './rate-limit.ts'
import { type Answer, takesBody, written } from './refusal.ts'
import type { RequestSource } from './request-facts.ts'

/** Listeners for a connection's close. They share one listener on the socket, since many requests may wait on it. */
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

/** HTTP/2 responses do not tell that they are closed, but their streams do. */
function isClosed(response: ServerResponse & { stream?: { destroyed?: boolean } }): boolean {
  return response.closed || response.stream?.destroyed === true
}

/** Reads the facts from Node's own requests; frameworks on top of Node know more. */
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
    // Among pipelined requests, Node tells only the first one's response that the connection has closed.
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
 * The mount path of a route's router, as the client requested it: Express does not tell the pattern. In lower case,
 * since Express matches paths in any case by default, and a client must not get new routes by varying it.
 */
export function mountOf(baseUrl = ''): string {
  return baseUrl.toLowerCase()
}

/** A response header as text; several lines are joined. */
export function headerText(value: number | string | readonly string[] | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  return Array.isArray(value) ? value.join(', ') : String(value)
}

/** Headers on Node's response. Setting one throws if they were already sent. */
export const nodeHeaders: HeaderAccess<ServerResponse> = {
  get: (response, name) => headerText(response.getHeader(name)),
  set(response, name, value) {
    response.setHeader(name, value)
  },
}

/**
 * Carries out a verdict on Node's response.
 *
 * @returns whether the handler should run
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
    // Checked only here: on Express's responses, reading `headersSent` costs more than the whole decision.
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

/** Ends a refused response whose headers were already sent: they can't be taken back, but nothing more is added. */
export function endWhereItIs(response: ServerResponse): void {
  if (!response.writableEnded) response.end()
}
