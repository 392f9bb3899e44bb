import { fixedWindow, tokenBucket } from '@spillway/core'
import { lruFloor, mapFloor } from '../contenders/floors.ts'
import { soft, softSliding } from '../contenders/soft.ts'
import type { Popularity } from '../keys.ts'
import { type Case, type Contender, type Question, TIME } from '../question.ts'
import { emptyBursts, type Made, runMade, type Shape, TURNS, WINDOW_MS } from '../warm-checks.ts'

// A check that RAM decides, without awaiting, on held keys, compared with the least that any limiter must do.

/** More than a run asks for any key. */
const LIMIT = 5_000_000
/** So low that most checks by Zipf's law are refused. */
const LOW_LIMIT = 1000
const NAMES = { fixed: 'fixed window', sliding: 'sliding window', bucket: 'token bucket' }
const FLOOR = 'floor: lru-cache, Date.now(), count, result'

function contender(name: string, shape: Shape, make: () => Made): Contender {
  return { name, run: runMade(make, shape) }
}

function bucket(capacity: number, keys: number): Made {
  // Whole tokens drain between two checks of a key. Not where refusals are counted: then no token may come back in a run.
  const drains = capacity === LIMIT
  const per = drains ? '1h' : '700d'
  return { ...soft(tokenBucket({ capacity, refill: capacity, per }), keys), drains }
}

function shapeCase(name: string, keys: number, popularity: Popularity, burst: number, limit = LIMIT): Case {
  const isTarget = burst > 1
  const checks = isTarget ? 2 ** 17 : 2 ** 14
  const shape = { keys, popularity, burst, checks, warmUp: 16 * checks, limit }
  return {
    name,
    turns: TURNS,
    contenders: [
      contender(FLOOR, shape, () => ({ check: lruFloor(2 * keys, limit, WINDOW_MS) })),
      contender('floor: Map', shape, () => ({ check: mapFloor(limit, WINDOW_MS) })),
      contender(NAMES.fixed, shape, () => soft(fixedWindow({ limit, window: WINDOW_MS }), keys)),
      contender(NAMES.sliding, shape, () => softSliding(limit, keys)),
      contender(NAMES.bucket, shape, () => bucket(limit, keys)),
      ...(isTarget
        ? []
        : [{ name: 'floor: an empty turn', run: (given) => emptyBursts(given, shape) } satisfies Contender]),
    ],
    targets: isTarget
      ? Object.values(NAMES).map((ours) => ({ measure: TIME, ours, to: FLOOR, atMost: 1 }))
      : [],
  }
}

export const softSync: Question = {
  name: 'soft-sync',
  title: 'Soft checkSync, warm keys',
  cases: [
    shapeCase('checkSync, 10k keys, uniform', 10_000, 'uniform', 256),
    shapeCase('checkSync, 10k keys, Zipf', 10_000, 'zipf', 256),
    shapeCase('checkSync, 500k keys, uniform', 500_000, 'uniform', 256),
    shapeCase('checkSync, 500k keys, Zipf', 500_000, 'zipf', 256),
    shapeCase('checkSync, 10k keys, Zipf, most refused', 10_000, 'zipf', 256, LOW_LIMIT),
    shapeCase('checkSync, 10k keys, one a turn', 10_000, 'uniform', 1),
  ],
}
