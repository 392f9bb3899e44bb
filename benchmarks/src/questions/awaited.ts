import { createLimiter, type Decision, fixedWindow, type Mode } from '@spillway/core'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { admissible, draws, keyNames, type Popularity } from '../keys.ts'
import { expectAdmitted, medianOfSlices } from '../measure.ts'
import type { Case, Contender, Question, Target } from '../question.ts'

// A check that RAM decides, awaited, beside rate-limiter-flexible's memory limiter.

const LIMIT = 5000
const WINDOW_MS = 3_600_000
const CHECKS = 2 ** 20
const BURST = 256
const WARM_UP = 1 / 2
const FLEXIBLE = 'rate-limiter-flexible, memory'

interface Subject {
  /** What is awaited: the limiter's own promise, with nothing of ours around it. Rejects or says no where it denies. */
  check(key: string): Promise<object>
  allowed(answer: object): boolean
  warm?(): Promise<void>
}

function contender(name: string, keys: number, popularity: Popularity, subject: () => Subject): Contender {
  return {
    name,
    run: async ({ share }) => {
      const names = keyNames(keys)
      const order = draws(popularity, keys, 2 ** 20)
      const { check, allowed, warm } = subject()
      let admitted = 0
      for (const key of names) if (allowed(await check(key))) admitted++
      await warm?.()
      const count = Math.ceil((CHECKS * share) / order.length) * order.length
      const ns = await medianOfSlices(count, BURST, WARM_UP, async (from, to) => {
        for (let place = from; place < to; place++) {
          try {
            if (allowed(await check(names[order[place % order.length]!]!))) admitted++
          } catch {
            // Denied.
          }
        }
      })
      const all = new Uint32Array(keys + count)
      for (let place = 0; place < all.length; place++) {
        all[place] = place < keys ? place : order[(place - keys) % order.length]!
      }
      expectAdmitted(admitted, admissible(all, keys, LIMIT))
      return { 'ns a check': ns, 'checks a second': 1e9 / ns }
    },
  }
}

function spillway(mode: Mode & ('soft' | 'leased'), keys: number): () => Subject {
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

function flexible(): Subject {
  const limiter = new RateLimiterMemory({ points: LIMIT, duration: WINDOW_MS / 1000 })
  return { check: (key) => limiter.consume(key), allowed: () => true }
}

function popularityCase(
  keys: number,
  popularity: Popularity,
  least: { soft: number; leased?: number },
): Case {
  const target = (ours: string, atLeast: number): Target => ({
    measure: 'checks a second',
    ours,
    to: FLEXIBLE,
    atLeast,
  })
  return {
    name: `check awaited, ${keys / 1000}k keys, ${popularity === 'zipf' ? 'Zipf' : 'uniform'}`,
    contenders: [
      contender(FLEXIBLE, keys, popularity, flexible),
      contender('soft', keys, popularity, spillway('soft', keys)),
      contender('leased', keys, popularity, spillway('leased', keys)),
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
