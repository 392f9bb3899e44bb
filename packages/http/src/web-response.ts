import type { HeaderAccess } from './headers.ts'
import { type Answer, written } from './refusal.ts'

/** Calls back when the signal aborts, at once if it has; returns how to stop. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return () => {}
  }
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

/** The response with headers written to it, or a copy where it allows no writing, as those that `fetch` got. */
export function withHeaders(response: Response, write: (headers: Headers) => void): Response {
  try {
    write(response.headers)
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // A switch to a WebSocket, or `Response.error()`: there are no copies of these.
    if (response.status < 200) return response
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
  const response = new Response(method === 'HEAD' ? null : body, { status: answer.status })
  write(response.headers)
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}

/** For a client that has hung up: nobody reads it. 499 is what nginx logs then. */
export function unreadResponse(): Response {
  return new Response(null, { status: 499 })
}
