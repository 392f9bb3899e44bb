import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HeaderAccess } from './headers.ts'
import { nodeSource } from './node-response.ts'
import { type Answer, takesBody, written } from './refusal.ts'

/** Calls back when the signal aborts, at once if it has; returns how to stop. */
function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return () => {}
  }
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

/** What `@hono/node-server` hands on beside the `Request`. */
export interface NodeBindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

/** Anything may be handed on: told by what is asked of it. */
function isNodeBindings(handed: unknown): handed is NodeBindings {
  const { incoming, outgoing } = (handed ?? {}) as Partial<NodeBindings>
  return typeof incoming?.socket === 'object' && typeof outgoing?.once === 'function'
}

/**
 * Calls back once if the client goes away; returns how to stop. A `Request`'s signal tells, but on Node not of those
 * that are pipelined behind another.
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

/** The response with headers written to it, or a copy where it allows no writing, as those that `fetch` got. */
export function withHeaders(response: Response, write: (headers: Headers) => void): Response {
  try {
    write(response.headers)
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // A switch to a WebSocket, or `Response.error()`: there are no copies of these. Of what is no response at all there
    // would be one, empty and of status 200, where the platform is to say that it is none.
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

/** A refusal's answer with the limit's headers; the answer's own come last and win. HEAD gets no body. */
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

/** What a `Response` of this status is made with, which refuses even an empty body where there is to be none. */
export function contentOf(status: number, method: string, body: string): string | null {
  return method === 'HEAD' || !takesBody(status) ? null : body
}

/** For a client that has hung up: nobody reads it. 499 is what nginx logs then. */
export function unreadResponse(): Response {
  return new Response(null, { status: 499 })
}
