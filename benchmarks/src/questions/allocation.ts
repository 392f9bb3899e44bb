import { fixedWindow, tokenBucket } from '@spillway/core'
import { lruFloor } from '../contenders/floors.ts'
import { soft, softSliding } from '../contenders/soft.ts'
import { countsOf, draws, keyNames } from '../keys.ts'
import { expectAdmitted, expectRemaining, quantile, turn } from '../measure.ts'
import type { Contender, Question } from '../question.ts'
import type { Made } from '../warm-checks.ts'

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

/** The last answer. Kept where all can see it: else V8 makes none, if it finds that nobody needs one. */
let kept: unknown

function contender(name: string, subject: () => Made): Contender {
  return {
    name,
    run: async ({ share }) => {
      const names = keyNames(KEYS)
      const order = draws('uniform', KEYS, BATCH)
      const { check, warm, drains = false } = subject()
      for (const key of names) check(key)
      await warm?.()
      let admitted = 0
      const bytes: number[] = []
      // The first half warms up the JIT.
      for (let batch = 0; batch < 2 * BATCHES * share; batch++) {
        const before = process.memoryUsage().heapUsed
        // Not `for of`, which takes 40 bytes a check as long as V8 has not compiled it.
        for (let place = 0; place < BATCH; place++) {
          const answer = check(names[order[place]!]!)
          if (answer.allowed) admitted++
          kept = answer
        }
        if (batch >= BATCHES * share) bytes.push((process.memoryUsage().heapUsed - before) / BATCH)
        await turn()
      }
      const batches = Math.ceil(2 * BATCHES * share)
      expectAdmitted(admitted, batches * BATCH)
      if (kept === undefined) throw new Error('no answer was kept')
      // Each key was asked for once before.
      const counts = countsOf(order, KEYS).map((count) => batches * count + 1)
      const remaining = (place: number) => check(names[place]!).remaining
      if (name !== ALONE) await expectRemaining(counts, LIMIT, remaining, drains ? Infinity : 0)
      return { [BYTES]: quantile(bytes, 0.5) }
    },
  }
}

function bucket(): Made {
  return { ...soft(tokenBucket({ capacity: LIMIT, refill: LIMIT, per: '1h' }), KEYS), drains: true }
}

function alone(): Made {
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
          check: lruFloor(2 * KEYS, LIMIT, 86_400_000),
        })),
        contender(NAMES.fixed, () => soft(fixedWindow({ limit: LIMIT, window: '1d' }), KEYS)),
        contender(NAMES.sliding, () => softSliding(LIMIT, KEYS)),
        contender(NAMES.bucket, bucket),
      ],
      // The overhead, such as the measuring itself, is a few bytes.
      targets: Object.values(NAMES).map((ours) => ({ measure: BYTES, ours, to: ALONE, atMost: 1.1 })),
    },
  ],
}
