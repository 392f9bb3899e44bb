import { createLimiter, type Decision, fixedWindow, type Mode } from '@spillway/core'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { lruFloor } from '../contenders/floors.ts'
import type { Popularity } from '../keys.ts'
import { type Case, type Contender, type Question, type Target, TIME } from '../question.ts'
import { type Asked, type Shape, TURNS, WRAP, warmChecks } from '../warm-checks.ts'

// An awaited check that RAM decides, beside rate-limiter-flexible's memory limiter and the least that can be awaited.

const LIMIT = 5000
/** So long that a run seldom sees its end. */
const WINDOW_MS = 86_400_000
const FLEXIBLE = 'rate-limiter-flexible, memory'

interface Made {
  /** What is awaited: the limiter's own promise, with nothing of ours around it. Rejects or says no if it denies. */
  check(key: string): Promise<object>
  allowed(answer: object): boolean
  warm?(): Promise<void>
}

function contender(name: string, shape: Shape, make: () => Made): Contender {
  return {
    name,
    run: (given) => {
      const { check, allowed, warm } = make()
      const ask = async ({ names, order }: Asked, from: number, to: number) => {
        let count = 0
        for (let place = from; place < to; place++) {
          try {
            if (allowed(await check(names[order[place & WRAP]!]!))) count++
          } catch {
            // Denied.
          }
        }
        return count
      }
      const first = async (key: string) => allowed(await check(key))
      return warmChecks(given, shape, { first, ask, ...(warm && { warm }) })
    },
  }
}

function spillway(mode: Mode & ('soft' | 'leased'), keys: number): () => Made {
  return () => {
    const limit = fixedWindow({ limit: LIMIT, window: WINDOW_MS })
    const limiter = createLimiter({ name: 'bench', limit, mode, maxKeys: 2 * keys, timeout: '10s' })
    return {
      check: (key) => limiter.check(key),
      allowed: (decision) => (decision as Decision).allowed,
      warm: () => limiter.flush(),
    }
  }
}

function flexible(): Made {
  const limiter = new RateLimiterMemory({ points: LIMIT, duration: WINDOW_MS / 1000 })
  return { check: (key) => limiter.consume(key), allowed: () => true }
}

/** The floor for limiters that answer by a promise. */
function floor(keys: number): () => Made {
  return () => {
    const check = lruFloor(keys, LIMIT, WINDOW_MS)
    return { check: (key) => Promise.resolve(check(key)), allowed: (answer) => (answer as Decision).allowed }
  }
}

function popularityCase(
  keys: number,
  popularity: Popularity,
  least: { soft: number; leased?: number },
): Case {
  // `times`: so many times as fast.
  const target = (ours: string, times: number): Target => ({
    measure: TIME,
    ours,
    to: FLEXIBLE,
    atMost: 1 / times,
  })
  const shape = { keys, popularity, burst: 256, checks: 2 ** 16, warmUp: 2 ** 20, limit: LIMIT }
  return {
    turns: TURNS,
    name: `check awaited, ${keys / 1000}k keys, ${popularity === 'zipf' ? 'Zipf' : 'uniform'}`,
    contenders: [
      contender(FLEXIBLE, shape, flexible),
      contender('floor: lru-cache, Date.now(), count, result, awaited', shape, floor(keys)),
      contender('soft', shape, spillway('soft', keys)),
      contender('leased', shape, spillway('leased', keys)),
    ],
    targets: [
      target('soft', least.soft),
      ...(least.leased === undefined ? [] : [target('leased', least.leased)]),
    ],
  }
}

export const awaited: Question = {
  name: 'awaited',
  title: 'Soft and leased check, awaited',
  cases: [
    popularityCase(10_000, 'uniform', { soft: 3, leased: 2.5 }),
    popularityCase(10_000, 'zipf', { soft: 3, leased: 2.5 }),
    popularityCase(500_000, 'uniform', { soft: 2 }),
    popularityCase(500_000, 'zipf', { soft: 2 }),
  ],
}
