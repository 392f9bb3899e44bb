/**
 * What failed, for a framework's error path: an object as it is, anything else as an error of ours. To Express and
 * Fastify no error, and to Express some words too, mean to go on: the request would pass without a limit.
 */
export function failure(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) return error
  return new Error(`a function of the rate limit's options failed with ${String(error)}: give an Error`, {
    cause: error,
  })
}

/** As the second argument of `then`: made once, not for each request. */
export function failing(error: unknown): never {
  throw failure(error)
}
