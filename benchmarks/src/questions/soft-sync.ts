import { createLimiter, fixedWindow, type Limit, slidingWindow, tokenBucket } from '@spillway/core'
import { lruFloor, mapFloor } from '../contenders/floors.ts'
import { admissible, draws, keyNames, type Popularity } from '../keys.ts'
import { expectAdmitted, medianOfSlices } from '../measure.ts'
import type { Case, Contender, Question } from '../question.ts'

// A check that RAM decides, without awaiting, on keys that are held: beside the least that any limiter must do.

const LIMIT = 5000
const WINDOW_MS = 3_600_000
const CHECKS = 2 ** 22
/** Of the checks, what warms up: code that is called so often is compiled late, and more than once. */
const WARM_UP = 3 / 4
const NAMES = { fixed: 'fixed window', sliding: 'sliding window', bucket: 'token bucket' }
const FLOOR = 'floor: lru-cache, Date.now(), count, result'

interface Shape {
  readonly keys: number
  readonly popularity: Popularity
  /** Checks between two turns of the event loop. */
  readonly burst: number
}

interface Subject {
  check(key: string): { readonly allowed: boolean }
  /** What a held key is: one that the store has answered for. */
  warm?(): Promise<void>
}

function contender(name: string, shape: Shape, subject: () => Subject): Contender {
  return {
    name,
    run: async ({ share }) => {
      const names = keyNames(shape.keys)
      const order = draws(shape.popularity, shape.keys, 2 ** 20)
      const { check, warm } = subject()
      let admitted = 0
      for (const key of names) if (check(key).allowed) admitted++
      await warm?.()
      const count = Math.ceil((CHECKS * share * (shape.burst === 1 ? 0.1 : 1)) / order.length) * order.length
      const ns = await medianOfSlices(count, shape.burst, WARM_UP, (from, to) => {
        for (let place = from; place < to; place++)
          if (check(names[order[place % order.length]!]!).allowed) admitted++
        return undefined
      })
      const all = new Uint32Array(shape.keys + count)
      for (let place = 0; place < all.length; place++) {
        all[place] = place < shape.keys ? place : order[(place - shape.keys) % order.length]!
      }
      expectAdmitted(admitted, admissible(all, shape.keys, LIMIT))
      return { 'ns a check': ns }
    },
  }
}

function spillway(limit: Limit, keys: number): () => Subject {
  return () => {
    const limiter = createLimiter({ name: 'bench', limit, mode: 'soft', maxKeys: 2 * keys })
    return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush() }
  }
}

function shapeCase(name: string, shape: Shape, isTarget: boolean): Case {
  const { keys } = shape
  return {
    name,
    contenders: [
      contender(FLOOR, shape, () => ({ check: lruFloor(2 * keys, LIMIT, WINDOW_MS) })),
      contender('floor: Map', shape, () => ({ check: mapFloor(LIMIT, WINDOW_MS) })),
      contender(NAMES.fixed, shape, spillway(fixedWindow({ limit: LIMIT, window: WINDOW_MS }), keys)),
      contender(NAMES.sliding, shape, spillway(slidingWindow({ limit: LIMIT, window: WINDOW_MS }), keys)),
      contender(NAMES.bucket, shape, spillway(tokenBucket({ capacity: LIMIT, refill: 1, per: '1h' }), keys)),
    ],
    targets: isTarget
      ? Object.values(NAMES).map((ours) => ({ measure: 'ns a check', ours, to: FLOOR, atMost: 1 }))
      : [],
  }
}

export const softSync: Question = {
  name: 'soft-sync',
  title: 'Soft checkSync, warm keys',
  cases: [
    shapeCase('checkSync, 10k keys, uniform', { keys: 10_000, popularity: 'uniform', burst: 256 }, true),
    shapeCase('checkSync, 10k keys, Zipf', { keys: 10_000, popularity: 'zipf', burst: 256 }, true),
    shapeCase('checkSync, 500k keys, uniform', { keys: 500_000, popularity: 'uniform', burst: 256 }, true),
    shapeCase('checkSync, 500k keys, Zipf', { keys: 500_000, popularity: 'zipf', burst: 256 }, true),
    shapeCase('checkSync, 10k keys, one a turn', { keys: 10_000, popularity: 'uniform', burst: 1 }, false),
  ],
}
