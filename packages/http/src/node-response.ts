import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HeaderAccess } from './headers.ts'
import type { RateLimit, Verdict } from './rate-limit.ts'
import { type Answer, written } from './refusal.ts'
import type { RequestSource } from './request-facts.ts'

/** Where Node's own requests keep things; frameworks on top of it know more. */
export const nodeSource = {
  peer: (request: IncomingMessage) => request.socket.remoteAddress,
  header(request: IncomingMessage, name: string) {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  },
  method: (request: IncomingMessage) => request.method ?? 'GET',
  route: () => undefined,
  onHangUp(_: IncomingMessage, response: ServerResponse, listener: () => void) {
    if (response.closed) {
      listener()
      return () => {}
    }
    response.once('close', listener)
    return () => void response.off('close', listener)
  },
} satisfies RequestSource<IncomingMessage, ServerResponse>

/** The headers of a response of Node's; where they were sent, writing throws. */
export const nodeHeaders: HeaderAccess<ServerResponse> = {
  get(response, name) {
    const value = response.getHeader(name)
    if (value === undefined || typeof value === 'string') return value
    return Array.isArray(value) ? value.join(', ') : String(value)
  },
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
  response.statusCode = answer.status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** A refusal that comes after headers were sent: they can't be taken back, but nothing more is added. */
export function endWhereItIs(response: ServerResponse): void {
  if (!response.writableEnded) response.end()
}
