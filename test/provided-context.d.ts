import 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    /** The Redis that this test run started. Tests share it: use names of your own, and never FLUSHALL. */
    redisUrl: string
  }
}
