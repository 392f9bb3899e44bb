import { type Clock, createLimiter, fixedWindow, systemClock } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { Redis } from 'ioredis'
import { keyNames } from '../keys.ts'
import { quantile, turn } from '../measure.ts'
import type { Contender, Measures, Question } from '../question.ts'
import { holdsWhile } from '../turns.ts'

// How fast what 100,000 keys owe reaches Redis, and how long that holds the event loop.

const KEYS = 100_000
const LIMIT = 1000
const PASSES = 5
const COSTS = 97
/** Pipelines in flight, as many as our commands. */
const LINES = 4
const RATE = 'keys a second'
const HELD = 'ms the loop is held, median'
const LONGEST = 'ms the loop is held, longest'
const OURS = 'spillway, soft'
const FLOOR = 'floor: pipelined INCRBY, the best of three sizes'

/** The machine's clock, but long timers only fire when told to. */
class HeldClock implements Clock {
  private readonly held = new Set<() => void>()

  wall = () => systemClock.wall()
  monotonic = () => systemClock.monotonic()

  setTimer(callback: () => void, ms: number): unknown {
    if (ms < 60_000) return systemClock.setTimer(callback, ms)
    this.held.add(callback)
    return callback
  }

  clearTimer(timer: unknown): void {
    if (!this.held.delete(timer as () => void)) systemClock.clearTimer(timer)
  }

  goOff(): void {
    for (const callback of this.held) {
      this.held.delete(callback)
      callback()
    }
  }
}

/** What a key owes in a pass: neighbours differ, as in life. */
const costOf = (place: number, pass: number) => 1 + ((31 * place + 7 * pass) % COSTS)

const owedBy = (place: number, passes: number) => {
  let owed = 0
  for (let pass = 0; pass < passes; pass++) owed += costOf(place, pass)
  return owed
}

/** Settles all keys a few times; the first pass is a warm-up and does not count. */
async function passes(keys: number, owe: (pass: number) => void, settle: () => Promise<void>) {
  const rates: number[] = []
  const holds: number[] = []
  for (let pass = 0; pass <= PASSES; pass++) {
    owe(pass)
    const began = process.hrtime.bigint()
    const held = await holdsWhile(settle)
    if (pass === 0) continue
    rates.push((keys * 1e9) / Number(process.hrtime.bigint() - began))
    holds.push(...held)
  }
  return { rate: quantile(rates, 0.5), held: quantile(holds, 0.5), longest: Math.max(...holds) }
}

const measures = ({ rate, held, longest }: Awaited<ReturnType<typeof passes>>): Measures => ({
  [RATE]: rate,
  [HELD]: held,
  [LONGEST]: longest,
})

const spillway: Contender = {
  name: OURS,
  run: async ({ redisUrl, share }) => {
    const names = keyNames(Math.ceil(KEYS * share))
    const store = redisStore(redisUrl)
    const limit = fixedWindow({ limit: LIMIT, window: '1d' })
    // Nothing settles by itself: `flush` is what is measured.
    const sync = { interval: '1h' }
    const clock = new HeldClock()
    const options = { name: 'bench', limit, store, maxKeys: 2 * KEYS, timeout: '10s' } as const
    const limiter = createLimiter({ ...options, clock, mode: 'soft', sync })
    const other = createLimiter(options)
    await other.peek('user:0')
    // In its first interval a node also tells the store its demand: it does not know whether others start with it.
    await limiter.check('first')
    for (let ticks = 0; ticks < 2; ticks++) {
      clock.goOff()
      await limiter.flush()
      await turn()
    }
    const result = await passes(
      names.length,
      (pass) => {
        for (const [place, name] of names.entries()) limiter.checkSync(name, { cost: costOf(place, pass) })
      },
      () => limiter.flush(),
    )
    for (let place = 0; place < names.length; place += 997) {
      // A peek tells what would remain after its check.
      const settled = LIMIT - (await other.peek(names[place]!)).remaining - 1
      const owed = owedBy(place, PASSES + 1)
      if (settled !== owed) throw new Error(`${names[place]}: ${settled} settled, ${owed} owed`)
    }
    return measures(result)
  },
}

const increments: Contender = {
  name: FLOOR,
  run: async ({ redisUrl, share }) => {
    const names = keyNames(Math.ceil(KEYS * share))
    const redis = new Redis(redisUrl)
    let done = 0
    const results: Awaited<ReturnType<typeof passes>>[] = []
    for (const size of [200, 1000, 5000]) {
      let current = 0
      const send = async (first: number) => {
        const pipeline = redis.pipeline()
        const end = Math.min(names.length, first + size)
        for (let place = first; place < end; place++) pipeline.incrby(names[place]!, costOf(place, current))
        await pipeline.exec()
      }
      const line = async (start: number) => {
        for (let first = start; first < names.length; first += LINES * size) await send(first)
      }
      const result = await passes(
        names.length,
        () => {
          current = done++
        },
        async () => {
          await Promise.all(Array.from({ length: LINES }, (_, place) => line(place * size)))
        },
      )
      results.push(result)
    }
    const settled = await redis.mget(...names.slice(0, 1000))
    for (const [place, count] of settled.entries())
      if (Number(count) !== owedBy(place, done)) throw new Error(`${names[place]}: ${count} settled`)
    redis.disconnect()
    return measures(results.reduce((best, result) => (result.rate > best.rate ? result : best)))
  },
}

export const settling: Question = {
  name: 'settling',
  title: 'Settling 100,000 keys',
  cases: [
    {
      name: 'settling 100k dirty keys',
      redis: true,
      contenders: [increments, spillway],
      targets: [
        { measure: RATE, ours: OURS, to: FLOOR, atLeast: 2 },
        { measure: HELD, ours: OURS, atMost: 3 },
      ],
    },
  ],
}
