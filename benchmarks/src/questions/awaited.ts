import { createLimiter, type Decision, fixedWindow, type Mode } from '@spillway/core'
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import { lruFloor } from '../contenders/floors.ts'
import type { Popularity } from '../keys.ts'
import { type Case, type Contender, type Question, type Target, TIME } from '../question.ts'
import { type Asked, type Shape, type Subject, TURNS, WINDOW_MS, WRAP, warmChecks } from '../warm-checks.ts'

// An awaited check that RAM decides, beside rate-limiter-flexible's memory limiter and the least that can be awaited.

/** More than a run asks for any key: rate-limiter-flexible rejects where it refuses, which takes it longer. */
const LIMIT = 1_000_000
/** So low that most checks by Zipf's law are refused. */
const LOW_LIMIT = 1000
const FLEXIBLE = 'rate-limiter-flexible, memory'

interface Made {
  /** What is awaited: the limiter's own promise, with nothing of ours around it. Rejects or says no if it denies. */
  check(key: string): Promise<object>
  allowed(answer: object): boolean
  /** What remains by an answer, also by one that denies. */
  remaining(answer: object): number
  warm?(): Promise<void>
}

function contender(name: string, shape: Shape, make: () => Made): Contender {
  return {
    name,
    run: (given) => warmChecks(given, shape, subject),
  }
  function subject(): Subject {
    const { check, allowed, remaining: remainingOf, warm } = make()
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
    const remaining = async (key: string) => remainingOf(await check(key).catch((refusal) => refusal))
    return { first, ask, remaining, ...(warm && { warm }) }
  }
}

function spillway(mode: Mode & ('soft' | 'leased'), keys: number, most: number): () => Made {
  return () => {
    const limit = fixedWindow({ limit: most, window: WINDOW_MS })
    const limiter = createLimiter({ name: 'bench', limit, mode, maxKeys: 2 * keys, timeout: '10s' })
    return {
      check: (key) => limiter.check(key),
      allowed: (decision) => (decision as Decision).allowed,
      remaining: (decision) => (decision as Decision).remaining,
      warm: () => limiter.flush(),
    }
  }
}

function flexible(points: number): () => Made {
  return () => {
    const limiter = new RateLimiterMemory({ points, duration: WINDOW_MS / 1000 })
    return {
      check: (key) => limiter.consume(key),
      allowed: () => true,
      remaining: (answer) => (answer as RateLimiterRes).remainingPoints,
    }
  }
}

/** The floor for limiters that answer by a promise. */
function floor(keys: number, most: number): () => Made {
  return () => {
    const check = lruFloor(2 * keys, most, WINDOW_MS)
    return {
      check: (key) => Promise.resolve(check(key)),
      allowed: (answer) => (answer as Decision).allowed,
      remaining: (answer) => (answer as Decision).remaining,
    }
  }
}

function popularityCase(
  keys: number,
  popularity: Popularity,
  least: { soft?: number; leased?: number },
  limit = LIMIT,
): Case {
  // `times`: so many times as fast.
  const target = (ours: string, times: number): Target => ({
    measure: TIME,
    ours,
    to: FLEXIBLE,
    atMost: 1 / times,
  })
  const shape = { keys, popularity, burst: 256, checks: 2 ** 16, warmUp: 2 ** 20, limit }
  return {
    turns: TURNS,
    name: `check awaited, ${keys / 1000}k keys, ${popularity === 'zipf' ? 'Zipf' : 'uniform'}${limit < LIMIT ? ', most refused' : ''}`,
    contenders: [
      contender(FLEXIBLE, shape, flexible(limit)),
      contender('floor: lru-cache, Date.now(), count, result, awaited', shape, floor(keys, limit)),
      contender('soft', shape, spillway('soft', keys, limit)),
      contender('leased', shape, spillway('leased', keys, limit)),
    ],
    targets: [
      ...(least.soft === undefined ? [] : [target('soft', least.soft)]),
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
    popularityCase(10_000, 'zipf', {}, LOW_LIMIT),
  ],
}
