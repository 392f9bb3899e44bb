/**
 * The error to hand to a framework's error path: an object as it is, anything else wrapped in an Error. Express and
 * Fastify take a missing error, and Express also some strings, as a sign to go on: the request would pass unlimited.
 */
export function failure(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) return error
  return new Error(`a function of the rate limit's options failed with ${String(error)}: give an Error`, {
    cause: error,
  })
}

/** For use as the second argument of `then`: made once, not per request. */
export function failing(error: unknown): never {
  throw failure(error)
}
