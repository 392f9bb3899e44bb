import { createLimiter, fixedWindow, type Limit, slidingWindow, tokenBucket } from '@spillway/core'
import { lruFloor } from '../contenders/floors.ts'
import { draws, keyNames } from '../keys.ts'
import { expectAdmitted, quantile, turn } from '../measure.ts'
import type { Contender, Question } from '../question.ts'

// What a check on a held key leaves for the garbage collector, compared with a decision alone.

const KEYS = 1000
const LIMIT = 2_000_000_000
const BATCHES = 200
/** So few checks that a batch seldom meets a collection: batches that do are far from the median. */
const BATCH = 2000
const BYTES = 'bytes a check'
const ALONE = 'a decision, and nothing else'
const NAMES = { fixed: 'fixed window', sliding: 'sliding window', bucket: 'token bucket' }

/** As large as a limiter's decision. */
class Answer {
  constructor(
    readonly allowed: boolean,
    readonly limit: number,
    readonly remaining: number,
    readonly retryAfterMs: number,
    readonly resetAfterMs: number,
    readonly delayMs: number,
    readonly source: string,
    readonly reason: string | undefined,
    readonly name: string | undefined,
  ) {}
}

interface Subject {
  check(key: string): { readonly allowed: boolean }
  warm?(): Promise<void>
}

function contender(name: string, subject: () => Subject): Contender {
  return {
    name,
    run: async ({ share }) => {
      const names = keyNames(KEYS)
      const order = draws('uniform', KEYS, BATCH)
      const { check, warm } = subject()
      for (const key of names) check(key)
      await warm?.()
      let admitted = 0
      const bytes: number[] = []
      // The first half warms up the JIT.
      for (let batch = 0; batch < 2 * BATCHES * share; batch++) {
        const before = process.memoryUsage().heapUsed
        for (const place of order) if (check(names[place]!).allowed) admitted++
        if (batch >= BATCHES * share) bytes.push((process.memoryUsage().heapUsed - before) / BATCH)
        await turn()
      }
      expectAdmitted(admitted, Math.ceil(2 * BATCHES * share) * BATCH)
      return { [BYTES]: quantile(bytes, 0.5) }
    },
  }
}

function spillway(limit: Limit): () => Subject {
  return () => {
    const limiter = createLimiter({ name: 'bench', limit, mode: 'soft' })
    return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush() }
  }
}

function alone(): Subject {
  let count = 0
  return { check: () => new Answer(true, LIMIT, LIMIT - count++, 0, 1000, 0, 'local', undefined, undefined) }
}

export const allocation: Question = {
  name: 'allocation',
  title: 'What a check allocates',
  cases: [
    {
      name: 'checkSync, bytes allocated',
      contenders: [
        contender(ALONE, alone),
        contender('floor: lru-cache, Date.now(), count, result', () => ({
          check: lruFloor(2 * KEYS, LIMIT, 3_600_000),
        })),
        contender(NAMES.fixed, spillway(fixedWindow({ limit: LIMIT, window: '1h' }))),
        contender(NAMES.sliding, spillway(slidingWindow({ limit: LIMIT, window: '1h' }))),
        contender(NAMES.bucket, spillway(tokenBucket({ capacity: LIMIT, refill: LIMIT, per: '1h' }))),
      ],
      // The overhead, such as the measuring itself, is a few bytes.
      targets: Object.values(NAMES).map((ours) => ({ measure: BYTES, ours, to: ALONE, atMost: 1.1 })),
    },
  ],
}
