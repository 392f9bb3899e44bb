import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Decision } from '../decision.ts'
import { type Duration, durationMs, LONGEST_DURATION } from '../duration.ts'
import { type Algorithm, type AlgorithmName, Numbers } from './algorithm.ts'
import { LARGEST_COUNT } from './arithmetic.ts'
import { fixedWindow } from './fixed-window/fixed-window.ts'
import { leakyBucket } from './leaky-bucket/leaky-bucket.ts'
import { slidingLog } from './sliding-log/sliding-log.ts'
import { slidingWindow } from './sliding-window/sliding-window.ts'
import { tokenBucket } from './token-bucket/token-bucket.ts'

/*
 * What all five algorithms promise, on random histories, against a slow reference: the definitions of usage in
 * the design, in exact fractions, worked out anew from the whole history each time.
 */

const RUNS = 3 * fc.readConfigureGlobal().numRuns!

// ---- The limits ----

/** A limit as its user writes it. Windows: `limit` per `window`. Buckets: `limit` at most, `rate` drain in `window`. */
interface Spec {
  algorithm: AlgorithmName
  limit: number
  window: Duration
  rate: number
}

const ALGORITHMS: AlgorithmName[] = [
  'fixed-window',
  'sliding-window',
  'sliding-log',
  'token-bucket',
  'leaky-bucket',
]

function make({ algorithm, limit, window, rate }: Spec): Algorithm {
  const limits = {
    'fixed-window': () => fixedWindow({ limit, window }),
    'sliding-window': () => slidingWindow({ limit, window }),
    'sliding-log': () => slidingLog({ limit, window }),
    'token-bucket': () => tokenBucket({ capacity: limit, refill: rate, per: window }),
    'leaky-bucket': () => leakyBucket({ capacity: limit, leak: rate, per: window }),
  }
  return limits[algorithm]() as Algorithm
}

const isBucket = (algorithm: AlgorithmName) => algorithm.endsWith('bucket')

const counts = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 20 }) },
  { weight: 2, arbitrary: fc.constantFrom(1, 2, 3, 7, 1000, 2 ** 30, LARGEST_COUNT - 1, LARGEST_COUNT) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: LARGEST_COUNT }) },
)

const durations = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 50 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Duration>(
      1,
      2,
      3,
      1000,
      '1m',
      '1h',
      '1d',
      '365d',
      LONGEST_DURATION - 1,
      '730d',
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: LONGEST_DURATION }) },
)

function specs(algorithm: AlgorithmName): fc.Arbitrary<Spec> {
  return fc.record({ limit: counts, window: durations, rate: counts }).map(({ limit, window, rate }) => {
    // a bucket must fill within 730 days
    const slowest = Math.ceil((limit * durationMs(window, 'window')) / LONGEST_DURATION)
    return { algorithm, limit, window, rate: isBucket(algorithm) ? Math.max(rate, slowest) : 0 }
  })
}

// ---- The reference ----

/** What was counted: costs admitted, or (`refund`) given back; `behind` 1 in the window before. */
interface Counted {
  time: number
  cost: number
  behind: number
  refund: boolean
}

/** An exact fraction. */
interface Fraction {
  over: bigint
  under: bigint
}

const least = (a: bigint, b: bigint) => (a < b ? a : b)
const most = (a: bigint, b: bigint) => (a > b ? a : b)
const roundedUp = ({ over, under }: Fraction) => (over + under - 1n) / under

class Reference {
  private readonly limit: bigint
  private readonly window: bigint
  private readonly rate: bigint
  private readonly algorithm: AlgorithmName
  history: Counted[] = []

  constructor(spec: Spec) {
    this.algorithm = spec.algorithm
    this.limit = BigInt(spec.limit)
    this.window = BigInt(durationMs(spec.window, 'window'))
    this.rate = BigInt(spec.rate)
  }

  admit(time: number, cost: number, behind = 0): void {
    this.history.push({ time, cost, behind, refund: false })
  }

  /** What it gives back. */
  refund(time: number, cost: number): number {
    const inUse =
      this.algorithm === 'sliding-window' ? this.inWindow(this.index(time)) : roundedUp(this.usage(time))
    this.history.push({ time, cost, behind: 0, refund: true })
    return Number(least(BigInt(cost), inUse))
  }

  usage(now: number): Fraction {
    const usages = {
      'fixed-window': () => ({ over: this.inWindow(this.index(now)), under: 1n }),
      'sliding-window': () => this.weightedUsage(now),
      'sliding-log': () => ({ over: this.inLog(now), under: 1n }),
      'token-bucket': () => this.inBucket(now),
      'leaky-bucket': () => this.inBucket(now),
    }
    return usages[this.algorithm]()
  }

  allows(now: number, cost: number): boolean {
    const { over, under } = this.usage(now)
    return over + BigInt(cost) * under <= this.limit * under
  }

  /** The limit less the usage, in whole units, at least 0. */
  remaining(now: number): number {
    return Number(most(0n, this.limit - roundedUp(this.usage(now))))
  }

  /** Whole milliseconds in which the backlog leaks out. */
  delay(now: number): number {
    if (this.algorithm !== 'leaky-bucket') return 0
    const { over, under } = this.usage(now)
    return Number(roundedUp({ over: over * this.window, under: under * this.rate }))
  }

  private index(time: number): bigint {
    return BigInt(time) / this.window
  }

  private inWindow(index: bigint): bigint {
    let count = 0n
    for (const { time, cost, behind, refund } of this.history) {
      if (this.index(time) - BigInt(behind) !== index) continue
      count = refund ? most(0n, count - BigInt(cost)) : count + BigInt(cost)
    }
    return count
  }

  private weightedUsage(now: number): Fraction {
    const index = this.index(now)
    const covered = this.window - (BigInt(now) % this.window)
    return {
      over: this.inWindow(index) * this.window + this.inWindow(index - 1n) * covered,
      under: this.window,
    }
  }

  private inLog(now: number): bigint {
    let log: { time: bigint; cost: bigint }[] = []
    const expire = (at: number) => {
      log = log.filter(({ time }) => time > BigInt(at) - this.window)
    }
    for (const { time, cost, refund } of this.history) {
      expire(time)
      if (!refund) {
        log.push({ time: BigInt(time), cost: BigInt(cost) })
        continue
      }
      let left = BigInt(cost)
      for (const entry of log.toReversed()) {
        const part = least(left, entry.cost)
        entry.cost -= part
        left -= part
      }
    }
    expire(now)
    return log.reduce((sum, { cost }) => sum + cost, 0n)
  }

  private inBucket(now: number): Fraction {
    let level = 0n
    let at = 0
    const drain = (time: number) => {
      level = most(0n, level - this.rate * BigInt(time - at))
      at = time
    }
    for (const { time, cost, refund } of this.history) {
      drain(time)
      level += (refund ? -1n : 1n) * BigInt(cost) * this.window
      level = most(0n, level)
    }
    drain(now)
    return { over: level, under: this.window }
  }
}

// ---- Histories ----

/** One step of a history, in words that fit any limit: the moment and the cost follow from what was before. */
interface Step {
  action: 'take' | 'settle' | 'settle behind' | 'refund'
  moment: { after: 'ms' | 'percent' | 'boundary' | 'retry' | 'reset'; by: number }
  cost: { of: 'one' | 'limit' | 'remaining' | 'percent'; by: number }
}

interface History {
  spec: Spec
  start: number
  steps: Step[]
}

const offset = fc.constantFrom(-1, 0, 1)

const moments: fc.Arbitrary<Step['moment']> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ after: 'ms' as const, by: 0 }) },
  {
    weight: 1,
    arbitrary: fc.record({ after: fc.constant('ms' as const), by: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ after: fc.constant('percent' as const), by: fc.integer({ min: 1, max: 220 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      after: fc.constantFrom('boundary' as const, 'retry' as const, 'reset' as const),
      by: offset,
    }),
  },
)

const costs: fc.Arbitrary<Step['cost']> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ of: 'one' as const, by: 0 }) },
  {
    weight: 3,
    arbitrary: fc.record({ of: fc.constantFrom('limit' as const, 'remaining' as const), by: offset }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ of: fc.constant('percent' as const), by: fc.integer({ min: 0, max: 110 }) }),
  },
)

const takes = fc.constant<Step['action']>('take')
const everything = fc.oneof(
  { weight: 5, arbitrary: takes },
  { weight: 4, arbitrary: fc.constantFrom<Step['action']>('settle', 'settle behind', 'refund', 'refund') },
)

function histories(algorithm: AlgorithmName, action: fc.Arbitrary<Step['action']>): fc.Arbitrary<History> {
  return fc
    .record({
      spec: specs(algorithm),
      start: fc.oneof(
        fc.constant(0),
        fc.constant(1_753_000_000_000),
        fc.integer({ min: 0, max: 3000 }),
        fc.tuple(fc.integer({ min: 1, max: 30 }), offset).map(([windows, by]) => ({ windows, by })),
      ),
      steps: fc.array(fc.record({ action, moment: moments, cost: costs }), { minLength: 1, maxLength: 14 }),
    })
    .map(({ spec, start, steps }) => ({
      spec,
      steps,
      start: typeof start === 'number' ? start : start.windows * durationMs(spec.window, 'window') + start.by,
    }))
}

type Act = { action: Step['action']; now: number; cost: number; behind: number }

/** Goes through a history; the visitor carries each step out and returns the decision of a take. */
function walk({ spec, start, steps }: History, visit: (act: Act) => Decision | undefined): void {
  // for buckets, the time in which a full one drains
  const { window } = make(spec)
  const aligned = durationMs(spec.window, 'window')
  let now = start
  let last: Decision | undefined
  for (const { action, moment, cost } of steps) {
    const gaps = {
      ms: 0,
      percent: Math.floor((window * moment.by) / 100) - moment.by,
      boundary: aligned - (now % aligned),
      retry: Number.isFinite(last?.retryAfterMs) ? last!.retryAfterMs : 0,
      reset: last?.resetAfterMs ?? 0,
    }
    // the arithmetic of debt is exact for waits below 2^36 ms
    now += Math.min(2 ** 36 - 1, Math.max(0, gaps[moment.after] + moment.by))
    const sizes = {
      one: 1,
      limit: spec.limit,
      remaining: last?.remaining ?? spec.limit,
      percent: Math.floor((spec.limit * cost.by) / 100) - cost.by,
    }
    const most = action === 'settle' || action === 'settle behind' ? spec.limit : LARGEST_COUNT
    const size = Math.min(most, Math.max(1, sizes[cost.of] + cost.by))
    // only the sliding window keeps counts by window, this one and the one before
    const behind = action === 'settle behind' && spec.algorithm === 'sliding-window' ? 1 : 0
    last = visit({ action, now, cost: size, behind }) ?? last
  }
}

/** A key's state under a limit. */
class Key {
  readonly algorithm: Algorithm
  private state: unknown

  constructor(readonly spec: Spec) {
    this.algorithm = make(spec)
    this.state = this.algorithm.create()
  }

  take(now: number, cost: number): Decision {
    return this.algorithm.take(this.state, now, cost, 'local', true)
  }

  peek(now: number, cost: number): Decision {
    return this.algorithm.take(this.state, now, cost, 'local', false)
  }

  refund(now: number, cost: number): number {
    return this.algorithm.refund(this.state, now, 0, cost)
  }

  giveBack(now: number, cost: number, at: number, beside?: number): number {
    return this.algorithm.refund(this.state, now, 0, cost, at, beside)
  }

  settle(now: number, cost: number, behind = 0, entries?: number[]): void {
    this.algorithm.settle(this.state, now, behind, cost, entries)
  }

  usage(now: number): number {
    return this.algorithm.usage(this.state, now)
  }

  endsAt(): number {
    return this.algorithm.endsAt(this.state)
  }

  act({ action, now, cost, behind }: Act): Decision | number | undefined {
    if (action === 'take') return this.take(now, cost)
    if (action === 'refund') return this.refund(now, cost)
    return this.settle(now, cost, behind) as undefined
  }

  /** Written down and read again. */
  copy(): Key {
    const numbers = new Numbers()
    this.algorithm.save(this.state, numbers)
    const copy = new Key(this.spec)
    copy.algorithm.load(copy.state, JSON.parse(JSON.stringify(numbers)) as Numbers)
    return copy
  }
}

function expectWholeWaits(decision: Decision): void {
  for (const wait of [decision.retryAfterMs, decision.resetAfterMs, decision.delayMs]) {
    if (wait !== Infinity) expect(Number.isSafeInteger(wait)).toBe(true)
    expect(wait).toBeGreaterThanOrEqual(0)
  }
}

/** A decision must be what the definition of usage says, in each of its fields. */
function expectAsDefined(decision: Decision, before: Reference, spec: Spec, now: number, cost: number): void {
  const allowed = before.allows(now, cost)
  const after = new Reference(spec)
  after.history = [...before.history]
  if (allowed) after.admit(now, cost)
  expect({ ...decision }).toMatchObject({
    allowed,
    limit: spec.limit,
    remaining: after.remaining(now),
    delayMs: allowed ? before.delay(now) : 0,
    source: 'local',
    reason: allowed ? undefined : cost > spec.limit ? 'cost' : 'limit',
  })
  expectWholeWaits(decision)
  const { retryAfterMs, resetAfterMs } = decision
  if (allowed) expect(retryAfterMs).toBe(0)
  else if (cost > spec.limit) expect(retryAfterMs).toBe(Infinity)
  else {
    expect(before.allows(now + retryAfterMs, cost)).toBe(true)
    expect(before.allows(now + retryAfterMs - 1, cost)).toBe(false)
  }
  expect(after.usage(now + resetAfterMs).over).toBe(0n)
  if (resetAfterMs > 0) expect(after.allows(now + resetAfterMs - 1, spec.limit)).toBe(false)
}

// ---- The promises ----

describe.each(ALGORITHMS)('%s', (algorithm) => {
  test('is never above the limit, and each decision is as usage is defined', () => {
    fc.assert(
      fc.property(histories(algorithm, takes), (history) => {
        const key = new Key(history.spec)
        const reference = new Reference(history.spec)
        const limit = BigInt(history.spec.limit)
        walk(history, ({ now, cost }) => {
          const decision = key.take(now, cost)
          expectAsDefined(decision, reference, history.spec, now, cost)
          if (decision.allowed) reference.admit(now, cost)
          const { over, under } = reference.usage(now)
          expect(over <= limit * under).toBe(true)
          expect(key.usage(now)).toBe(Number(roundedUp({ over, under })))
          return decision
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('decides as usage is defined also in debt and after refunds, which clamp at zero', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const key = new Key(history.spec)
        const reference = new Reference(history.spec)
        walk(history, ({ action, now, cost, behind }) => {
          if (action === 'refund') {
            expect(key.refund(now, cost)).toBe(reference.refund(now, cost))
          } else if (action !== 'take') {
            key.settle(now, cost, behind)
            reference.admit(now, cost, behind)
          }
          expect(key.usage(now)).toBe(Number(roundedUp(reference.usage(now))))
          if (action !== 'take') return undefined
          const decision = key.take(now, cost)
          expectAsDefined(decision, reference, history.spec, now, cost)
          if (decision.allowed) reference.admit(now, cost)
          return decision
        })
      }),
      { numRuns: 2 * RUNS },
    )
  })

  test('what is refused is refused a millisecond before retryAfterMs and allowed then', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const key = new Key(history.spec)
        walk(history, (act) => {
          if (act.action !== 'take') return void key.act(act)
          const decision = key.take(act.now, act.cost)
          if (decision.reason === 'limit') {
            const then = act.now + decision.retryAfterMs
            expect(key.copy().take(then - 1, act.cost)).toMatchObject({ allowed: false, reason: 'limit' })
            expect(key.copy().take(then, act.cost)).toMatchObject({ allowed: true, retryAfterMs: 0 })
          }
          return decision
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('the full limit is there after resetAfterMs, and not a millisecond before', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const key = new Key(history.spec)
        walk(history, (act) => {
          if (act.action !== 'take') return void key.act(act)
          const decision = key.take(act.now, act.cost)
          const then = act.now + decision.resetAfterMs
          expect(key.copy().usage(then)).toBe(0)
          expect(key.copy().take(then, history.spec.limit).allowed).toBe(true)
          if (decision.resetAfterMs > 0) {
            expect(key.copy().take(then - 1, history.spec.limit).allowed).toBe(false)
          }
          return decision
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('a peek changes nothing and says what a take would', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const peeked = new Key(history.spec)
        const left = new Key(history.spec)
        walk(history, (act) => {
          peeked.peek(act.now, 1)
          const before = act.action === 'take' ? peeked.peek(act.now, act.cost) : undefined
          const expected = left.act(act)
          expect(peeked.act(act)).toEqual(expected)
          if (before !== undefined) expect(before).toEqual(expected)
          return before
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('a refused take changes nothing', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const asked = new Key(history.spec)
        const spared = new Key(history.spec)
        walk(history, (act) => {
          asked.take(act.now, history.spec.limit + 1)
          const decision = asked.act(act)
          if (act.action !== 'take') {
            expect(spared.act(act)).toBe(decision)
            return undefined
          }
          const taken = decision as Decision
          if (taken.allowed) expect(spared.take(act.now, act.cost)).toEqual(taken)
          expect(asked.usage(act.now)).toBe(spared.copy().usage(act.now))
          return taken
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('a state that was written down and read again goes on alike', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const kept = new Key(history.spec)
        let reread = new Key(history.spec)
        walk(history, (act) => {
          reread = reread.copy()
          const expected = kept.act(act)
          expect(reread.act(act)).toEqual(expected)
          expect(reread.usage(act.now)).toBe(kept.usage(act.now))
          return act.action === 'take' ? (expected as Decision) : undefined
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('reading over a state leaves nothing of what was there', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const { algorithm } = new Key(history.spec)
        const empty = new Numbers()
        algorithm.save(algorithm.create(), empty)
        const state = algorithm.create()
        algorithm.settle(state, history.start, 0, history.spec.limit)
        algorithm.load(state, empty)
        expect(algorithm.take(state, history.start, 1, 'local', true)).toEqual(
          algorithm.take(algorithm.create(), history.start, 1, 'local', true),
        )
      }),
      { numRuns: RUNS },
    )
  })

  test('a state is as good as none from its end on', () => {
    fc.assert(
      fc.property(histories(algorithm, everything), (history) => {
        const key = new Key(history.spec)
        let now = 0
        walk(history, (act) => {
          now = act.now
          const decision = key.act(act)
          const end = Math.max(now, key.copy().endsAt())
          const old = key.copy()
          const fresh = new Key(history.spec)
          expect(old.usage(end)).toBe(0)
          for (const cost of [1, history.spec.limit])
            expect(old.take(end, cost)).toEqual(fresh.take(end, cost))
          return act.action === 'take' ? (decision as Decision) : undefined
        })
      }),
      { numRuns: RUNS },
    )
  })

  test('a clock that steps back wins nothing', () => {
    const steps = fc.array(
      fc.record({
        move: fc.integer({ min: -120, max: 150 }),
        percent: fc.integer({ min: 0, max: 100 }),
      }),
      { minLength: 2, maxLength: 25 },
    )
    fc.assert(
      fc.property(specs(algorithm), fc.constantFrom(0, 1_753_000_000_000), steps, (spec, start, steps) => {
        const key = new Key(spec)
        const reference = new Reference(spec)
        const { window } = key.algorithm
        const limit = BigInt(spec.limit)
        let now: number = start
        let latest = now
        let refused = 0
        for (const { move, percent } of steps) {
          now = Math.max(start, now + Math.trunc((window * move) / 100))
          // A log remembers the time of admissions only; what a refused take saw expire may not return to it.
          if (algorithm === 'sliding-log') now = Math.max(now, refused)
          latest = Math.max(latest, now)
          const cost = Math.max(1, Math.floor((spec.limit * percent) / 100))
          const decision = key.take(now, cost)
          expectWholeWaits(decision)
          // Within the latest window, a sliding window weighs the one before by the earlier time: the stricter.
          const begin = latest - (latest % window)
          const counted = algorithm === 'sliding-window' ? Math.max(now, begin) : latest
          expect(decision.allowed).toBe(reference.allows(counted, cost))
          if (decision.allowed) {
            expect(reference.allows(latest, cost)).toBe(true)
            reference.admit(latest, cost)
            const { over, under } = reference.usage(latest)
            expect(over <= limit * under).toBe(true)
          } else {
            refused = latest
            const then = now + decision.retryAfterMs
            expect(key.copy().take(then - 1, cost).allowed).toBe(false)
            expect(key.copy().take(then, cost).allowed).toBe(true)
          }
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('the share of a limit for one of several nodes is a limit, and all shares add up to no more', () => {
    fc.assert(
      fc.property(specs(algorithm), fc.integer({ min: 1, max: 300 }), (spec, nodes) => {
        const whole = make(spec)
        const share = whole.share(nodes)
        const { limit } = share
        expect(share.algorithm).toBe(algorithm)
        expect(limit).toBe(Math.max(1, Math.floor(spec.limit / nodes)))
        const state = share.create()
        expect(share.take(state, 0, limit, 'outage', true)).toMatchObject({
          allowed: true,
          limit,
          remaining: 0,
          source: 'outage',
        })
        expect(share.take(state, 0, 1, 'outage', true)).toMatchObject({
          allowed: false,
          limit,
          reason: 'limit',
          source: 'outage',
        })
        if (nodes === 1 || !isBucket(algorithm)) expect(share.window).toBe(whole.window)
      }),
      { numRuns: RUNS },
    )
  })

  test('costs above the limit are refused for good, also on a fresh key', () => {
    fc.assert(
      fc.property(specs(algorithm), fc.integer({ min: 1, max: LARGEST_COUNT }), (spec, more) => {
        const decision = new Key(spec).take(0, spec.limit + more)
        expect({ ...decision }).toMatchObject({
          allowed: false,
          reason: 'cost',
          retryAfterMs: Infinity,
          remaining: spec.limit,
          resetAfterMs: 0,
        })
      }),
      { numRuns: RUNS },
    )
  })
})

describe.each<AlgorithmName>(['token-bucket', 'leaky-bucket'])('%s', (algorithm) => {
  test('any stretch admits at most the capacity and what drains in it', () => {
    fc.assert(
      fc.property(histories(algorithm, takes), (history) => {
        const { spec } = history
        const key = new Key(spec)
        const per = BigInt(durationMs(spec.window, 'per'))
        const admitted: { now: number; cost: number }[] = []
        walk(history, ({ now, cost }) => {
          const decision = key.take(now, cost)
          if (decision.allowed) admitted.push({ now, cost })
          return decision
        })
        for (const [first, { now: from }] of admitted.entries()) {
          let sum = 0n
          for (const { now, cost } of admitted.slice(first)) {
            sum += BigInt(cost)
            expect(sum * per <= BigInt(spec.limit) * per + BigInt(spec.rate) * BigInt(now - from)).toBe(true)
          }
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('the shares of several nodes together drain no faster than the whole', () => {
    fc.assert(
      fc.property(specs(algorithm), fc.integer({ min: 1, max: 300 }), (spec, nodes) => {
        const share = make(spec).share(nodes)
        const state = share.create()
        share.take(state, 0, share.limit, 'outage', true)
        const { resetAfterMs } = share.take(state, 0, 1, 'outage', true)
        expect(resetAfterMs).toBeLessThanOrEqual(LONGEST_DURATION)
        // a share whose own time would pass 730 days drains at most one token more in that time
        const fastest = spec.rate / durationMs(spec.window, 'per') / nodes + 1 / LONGEST_DURATION
        expect(resetAfterMs * fastest).toBeGreaterThan(share.limit * (1 - 1e-9))
      }),
      {
        numRuns: RUNS,
        examples: [[{ algorithm, limit: 100, window: '365d', rate: 1_000_000 }, 10]],
      },
    )
  })

  test('waits are exact where a count times a time passes 2^53', () => {
    const large = fc.integer({ min: 2 ** 30, max: LARGEST_COUNT })
    fc.assert(
      fc.property(large, large, fc.integer({ min: 2, max: 9 }), fc.nat(8), (limit, rate, each, after) => {
        // a token drains in `each` milliseconds
        const key = new Key({ algorithm, limit, window: rate * each, rate })
        key.take(0, limit)
        const now = Math.min(after, each - 1)
        expect(key.peek(now, limit)).toMatchObject({
          retryAfterMs: limit * each - now,
          resetAfterMs: limit * each - now,
        })
        expect(key.peek(now, 1).retryAfterMs).toBe(each - now)
      }),
      { numRuns: RUNS },
    )
  })

  test('what goes back later counts as if it had not been taken, and never as less', () => {
    const others = fc.array(fc.tuple(fc.nat(40), fc.nat(9)), { maxLength: 6 })
    const numbers = fc.record({
      limit: fc.integer({ min: 1, max: 40 }),
      rate: fc.integer({ min: 1, max: 60 }),
    })
    fc.assert(
      fc.property(
        numbers,
        fc.nat(30),
        fc.integer({ min: 1, max: 9 }),
        others,
        (numbers, before, cost, others) => {
          const spec: Spec = { algorithm, window: '1s', ...numbers }
          const one = new Key(spec)
          one.settle(0, before)
          const two = one.copy()
          two.settle(7, cost)
          const beside = Math.max(0, one.usage(7) - 1)
          let now = 7
          for (const [wait, more] of others) {
            now += wait
            one.settle(now, more)
            two.settle(now, more)
          }
          const back = two.copy()
          back.giveBack(now, cost, 7)
          two.giveBack(now, cost, 7, beside)
          for (let ms = now; ms < now + 2000; ms += 50) {
            expect(two.usage(ms)).toBeGreaterThanOrEqual(one.usage(ms))
            expect(back.usage(ms)).toBeGreaterThanOrEqual(two.usage(ms))
            if (beside * 1000 >= numbers.rate * (now - 7)) expect(two.usage(ms)).toBe(one.usage(ms))
          }
        },
      ),
      { numRuns: RUNS },
    )
    const fast = new Key({ algorithm, limit: 100, window: '1s', rate: 1000 })
    fast.settle(0, 50)
    fast.settle(0, 3)
    fast.giveBack(20, 3, 0, 50)
    expect(fast.usage(20)).toBe(30)
    const slow = new Key({ algorithm, limit: 100, window: '1s', rate: 10 })
    slow.settle(0, 2)
    slow.giveBack(1, 2, 0)
    expect(slow.usage(1)).toBe(0)
  })

  test('debt is paid off before anything is admitted again', () => {
    const spec: Spec = { algorithm, limit: 10, window: '1s', rate: 2 }
    const key = new Key(spec)
    key.settle(0, 35)
    expect(key.usage(0)).toBe(35)
    expect(key.peek(0, 1)).toMatchObject({ remaining: 0, retryAfterMs: 13_000, resetAfterMs: 17_500 })
    expect(key.peek(0, 10)).toMatchObject({ allowed: false, retryAfterMs: 17_500 })
    expect(key.copy().take(12_999, 1).allowed).toBe(false)
    expect(key.copy().take(13_000, 1)).toMatchObject({ allowed: true, remaining: 0 })
    expect(key.usage(13_000)).toBe(9)
  })
})

describe('leaky-bucket', () => {
  test('departures, at delayMs, never come closer than the leak allows', () => {
    fc.assert(
      fc.property(histories('leaky-bucket', takes), (history) => {
        const { spec } = history
        const key = new Key(spec)
        const per = BigInt(durationMs(spec.window, 'per'))
        const departures: { at: number; cost: number }[] = []
        walk(history, ({ now, cost }) => {
          const decision = key.take(now, cost)
          if (decision.allowed) departures.push({ at: now + decision.delayMs, cost })
          return decision
        })
        // Whole milliseconds: a departure is up to one later than it need be, so two are less than one too close.
        for (const [first, { at: from }] of departures.entries()) {
          let before = 0n
          for (const { at, cost } of departures.slice(first)) {
            expect(before === 0n || BigInt(at - from + 1) * BigInt(spec.rate) > before * per).toBe(true)
            before += BigInt(cost)
          }
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('paces: the first goes at once, the next when it has leaked', () => {
    const key = new Key({ algorithm: 'leaky-bucket', limit: 4, window: '1s', rate: 3 })
    expect([0, 0, 0, 0].map((now) => key.take(now, 1).delayMs)).toEqual([0, 334, 667, 1000])
    expect(key.take(0, 1)).toMatchObject({
      allowed: false,
      delayMs: 0,
      retryAfterMs: 334,
      resetAfterMs: 1334,
    })
    expect(key.take(334, 1)).toMatchObject({ allowed: true, delayMs: 1000, remaining: 0 })
  })
})

describe('sliding-log', () => {
  test('refunds take the newest first', () => {
    const key = new Key({ algorithm: 'sliding-log', limit: 10, window: 100, rate: 0 })
    for (const [now, cost] of [
      [0, 3],
      [10, 4],
      [20, 3],
    ] as const)
      key.take(now, cost)
    expect(key.refund(30, 5)).toBe(5)
    expect([99, 100, 109, 110].map((now) => key.copy().usage(now))).toEqual([5, 2, 2, 0])
    expect(key.refund(100, 5)).toBe(2)
    expect(key.refund(100, 5)).toBe(0)
  })

  test('entries settled by a node count from their own times, the last of them for the cost', () => {
    const entry = fc.record({ ago: fc.integer({ min: 0, max: 60 }), cost: fc.integer({ min: 1, max: 9 }) })
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ gap: fc.integer({ min: 0, max: 20 }), entries: fc.array(entry), known: fc.nat(30) }),
          {
            maxLength: 8,
          },
        ),
        (settlements) => {
          const spec: Spec = { algorithm: 'sliding-log', limit: 20, window: 40, rate: 0 }
          const key = new Key(spec)
          const log: { time: number; cost: number }[] = []
          let now = 1000
          for (const { gap, entries, known } of settlements) {
            now += gap
            const sent = entries.map(({ ago, cost }) => ({ time: now - ago, cost }))
            sent.sort((one, other) => one.time - other.time)
            // the first `known` were settled before: only what comes after them is new
            const sum = sent.reduce((total, { cost }) => total + cost, 0)
            const fresh = Math.max(0, sum - known)
            if (fresh > 0) {
              key.settle(
                now,
                fresh,
                0,
                sent.flatMap(({ time, cost }) => [time, cost]),
              )
            }
            let skip = sum - fresh
            for (const { time, cost } of sent) {
              const skipped = Math.min(skip, cost)
              skip -= skipped
              log.push({ time, cost: cost - skipped })
            }
            for (const later of [now, now + 1, now + 20, now + 39, now + 40]) {
              const inUse = log
                .filter(({ time }) => time > later - 40)
                .reduce((total, { cost }) => total + cost, 0)
              expect(key.copy().usage(later)).toBe(inUse)
            }
            const decision = key.peek(now, 1)
            if (decision.retryAfterMs > 0) {
              expect(key.copy().take(now + decision.retryAfterMs - 1, 1).allowed).toBe(false)
              expect(key.copy().take(now + decision.retryAfterMs, 1).allowed).toBe(true)
            }
          }
        },
      ),
      { numRuns: RUNS },
    )
  })

  test('an entry settled from a clock ahead counts from now', () => {
    const key = new Key({ algorithm: 'sliding-log', limit: 5, window: 100, rate: 0 })
    key.settle(1000, 5, 0, [9_999_999, 5])
    expect(key.peek(1000, 1)).toMatchObject({ allowed: false, retryAfterMs: 100 })
  })

  test('what is settled at a time before the newest entry counts as that one', () => {
    const key = new Key({ algorithm: 'sliding-log', limit: 5, window: 100, rate: 0 })
    key.take(1000, 2)
    key.settle(950, 3)
    expect(key.usage(1099)).toBe(5)
    expect(key.usage(1100)).toBe(0)
  })

  test('a log whose entries were left out counts the rest as its newest', () => {
    const limit = make({ algorithm: 'sliding-log', limit: 10, window: 100, rate: 0 })
    const state = limit.create()
    const numbers = new Numbers()
    Object.assign(numbers, { a: 9, b: 1050, entries: [1000, 2] })
    limit.load(state, numbers)
    expect([1050, 1099, 1100, 1149, 1150].map((now) => limit.usage(state, now))).toEqual([9, 9, 7, 7, 0])
  })

  test('stays right over tens of thousands of entries', () => {
    const key = new Key({ algorithm: 'sliding-log', limit: 1000, window: 1000, rate: 0 })
    for (let now = 0; now < 20_000; now++) expect(key.take(now, 1).allowed).toBe(true)
    for (const now of [20_000, 20_500, 20_998, 20_999]) expect(key.copy().usage(now)).toBe(20_999 - now)
    expect(key.take(19_999, 2)).toMatchObject({ allowed: false, retryAfterMs: 2 })
    expect(key.take(20_001, 2)).toMatchObject({ allowed: true })
  })
})

describe('sliding-window', () => {
  test('a refund or a settlement of the window before weighs less and less', () => {
    const key = new Key({ algorithm: 'sliding-window', limit: 10, window: 100, rate: 0 })
    key.settle(100, 10, 1)
    expect([100, 109, 110, 150, 199, 200].map((now) => key.copy().usage(now))).toEqual([10, 10, 9, 5, 1, 0])
    expect(key.peek(100, 1)).toMatchObject({ retryAfterMs: 10, resetAfterMs: 100 })
  })
})

test('a year and the largest count work in every algorithm', () => {
  for (const algorithm of ALGORITHMS) {
    const key = new Key({ algorithm, limit: LARGEST_COUNT, window: '365d', rate: LARGEST_COUNT })
    const now = 1_753_000_000_000
    expect(key.take(now, LARGEST_COUNT)).toMatchObject({ allowed: true, remaining: 0 })
    const { retryAfterMs } = key.peek(now, 1)
    expect(key.copy().take(now + retryAfterMs - 1, 1).allowed).toBe(false)
    expect(key.copy().take(now + retryAfterMs, 1).allowed).toBe(true)
  }
})

test('a two-counter window lets nearly twice its limit pass within some true window, a log does not', () => {
  const passed = (limit: unknown) => {
    const its = limit as Algorithm
    const state = its.create()
    let admitted = 0
    // The last moment of one window, and that of the next.
    for (const now of [999, 1998])
      for (let check = 0; check < 100; check++) if (its.take(state, now, 1, 'store', true).allowed) admitted++
    return admitted
  }
  expect(passed(slidingWindow({ limit: 100, window: 1000 }))).toBe(199)
  expect(passed(slidingLog({ limit: 100, window: 1000 }))).toBe(100)
})
