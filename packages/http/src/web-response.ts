import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HeaderAccess } from './headers.ts'
import { nodeSource } from './node-response.ts'
import { type Answer, takesBody, written } from './refusal.ts'

/** Calls `listener` when the signal aborts, at once if it already has. Returns how to stop. */
function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return () => {}
  }
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

/** What `@hono/node-server` passes beside the `Request`. */
export interface NodeBindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

/** Platforms pass all kinds of values, so check for the members that are used. */
function isNodeBindings(handed: unknown): handed is NodeBindings {
  const { incoming, outgoing } = (handed ?? {}) as Partial<NodeBindings>
  return typeof incoming?.socket === 'object' && typeof outgoing?.once === 'function'
}

/**
 * Calls `listener` once if the client hangs up. Returns how to stop. A `Request`'s signal tells, but on Node not for
 * requests that are pipelined behind another.
 */
export function onGone(signal: AbortSignal, handed: unknown, listener: () => void): () => void {
  if (!isNodeBindings(handed)) return onAbort(signal, listener)
  let isTold = false
  const once = () => {
    if (isTold) return
    isTold = true
    listener()
  }
  const stops = [onAbort(signal, once), nodeSource.onHangUp(handed.incoming, handed.outgoing, once)]
  return () => {
    for (const stop of stops) stop()
  }
}

/** Writes headers to the response, or to a copy if its headers are immutable, as in responses from `fetch`. */
export function withHeaders(response: Response, write: (headers: Headers) => void): Response {
  try {
    write(response.headers)
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // A switch to a WebSocket and `Response.error()` can't be copied. A value that is no response would become an empty
    // one with status 200; the platform should report it instead.
    if (!(response.status >= 200)) return response
    const copy = new Response(response.body, response)
    write(copy.headers)
    return copy
  }
}

export const webHeaders: HeaderAccess<Headers> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  set: (headers, name, value) => headers.set(name, value),
}

/** The response to a refusal: the limit's headers first, then the answer's own, which win. HEAD gets no body. */
export function webResponse(answer: Answer, method: string, write: (headers: Headers) => void): Response {
  const { headers, body } = written(answer)
  const response = new Response(contentOf(answer.status, method, body), { status: answer.status })
  write(response.headers)
  for (const [name, value] of Object.entries(headers)) {
    response.headers.delete(name)
    for (const each of [value].flat()) response.headers.append(name, each)
  }
  return response
}

/** The body to make a `Response` of this status with: null if it takes none, since it refuses even an empty one. */
export function contentOf(status: number, method: string, body: string): string | null {
  return method === 'HEAD' || !takesBody(status) ? null : body
}

/** A response for a client that has hung up; nobody reads it. 499 is the status that nginx logs then. */
export function unreadResponse(): Response {
  return new Response(null, { status: 499 })
}
