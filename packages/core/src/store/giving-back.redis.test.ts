import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { startSlowlyExpiringRedis } from '../../test/slowly-expiring-redis.ts'
import { type Algorithm, rateOf } from '../algorithms/algorithm.ts'
import { leakyBucket } from '../algorithms/leaky-bucket/leaky-bucket.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import { refundOf } from '../checks.ts'
import type { Clock } from '../clock.ts'
import type { Receipt } from '../decider.ts'
import type { Decision } from '../decision.ts'
import { receiptOf } from '../hard/take-queue.ts'
import { memoryStore } from './memory.ts'
import { redisStore } from './redis/redis-store.ts'
import type { LimitInForce, Operation, Snapshot, Store, Table } from './store.ts'

const NODE = '00000000000000a1'
const KEY = 'key'

let now = 0
let sequence = 0
let names = 0
const clock: Clock = { wall: () => now, monotonic: () => now, setTimer: () => 0, clearTimer: () => {} }
const redis = await startSlowlyExpiringRedis()
const stores = {
  memory: memoryStore({ clock }),
  Redis: redisStore(redis.url, { now: () => now, prefix: 'giving-back' }),
}

afterAll(async () => {
  await stores.Redis.close()
  await redis.stop()
})

/** A cost that was taken: how much of it, in parts of 1/per, and what is known of it. */
interface Taken {
  readonly at: number
  readonly cost: number
  parts: bigint
  readonly receipt: Receipt
  isOpen: boolean
}

/** From then on the key drains by it. */
interface Rate {
  readonly at: number
  readonly rate: number
}

/** What is in use by the definition, in parts: what was admitted and did not go back, less what has drained, never below 0. */
function inUse(taken: readonly Taken[], rates: readonly Rate[], at: number): bigint {
  let level = 0n
  let moment = 0
  let rate = 0
  const drain = (until: number) => {
    level -= BigInt(rate) * BigInt(until - moment)
    if (level < 0n) level = 0n
    moment = until
  }
  const events = [...rates, ...taken].sort((one, other) => one.at - other.at)
  for (const event of events) {
    drain(event.at)
    if (!('parts' in event)) rate = event.rate
    else level += event.parts
  }
  drain(at)
  return level
}

const limit = fc
  .tuple(
    fc.constantFrom(
      (capacity: number, refill: number, per: number) => tokenBucket({ capacity, refill, per }),
      (capacity: number, leak: number, per: number) => leakyBucket({ capacity, leak, per }),
    ),
    fc.integer({ min: 1, max: 60 }),
    fc.integer({ min: 1, max: 60 }),
    fc.constantFrom(7, 97, 1000),
  )
  .map(([make, capacity, rate, per]) => make(capacity, rate, per) as Algorithm)

/** Milliseconds, by how much drains in them: mostly as much as is taken at once. */
const wait = fc.oneof(fc.constantFrom(0, 0, 0.1, 0.3, 0.5), fc.double({ min: 0, max: 0.7, noNaN: true }))
const step = fc.oneof(
  fc.record({
    kind: fc.constant('take' as const),
    wait,
    /** That part of the capacity. */
    part: fc.constantFrom(0.05, 0.3, 0.5, 0.5, 1),
    /** Of others, that never goes back. */
    stays: fc.boolean(),
    /** By the limiter's own limit, or by a plan. */
    by: fc.constantFrom('own' as const, 'own' as const, 'plan' as const),
  }),
  fc.record({
    kind: fc.constant('give back' as const),
    wait,
    place: fc.nat(20),
    /** That part of it. */
    part: fc.constantFrom(0.3, 0.7, 1, 1),
  }),
)
/** The limiter's own limit is set to so many times what it was made with. */
const set = fc.record({ kind: fc.constant('set' as const), wait, times: fc.constantFrom(1, 1, 2, 5) })
type Step =
  | { kind: 'take'; wait: number; part: number; stays: boolean; by: 'own' | 'plan' }
  | { kind: 'give back'; wait: number; place: number; part: number }
  | { kind: 'set'; wait: number; times: number }

describe.each([
  ['memory', 20],
  ['Redis', 2],
] as const)('%s', (what, runs) => {
  it('gives back of a bucket no more than what was taken still counts, whatever else went back', async () => {
    const steps = fc.array(step, { minLength: 3, maxLength: 25 })
    const property = fc.asyncProperty(limit, steps, (limit, steps) => live(stores[what], limit, steps, 1))
    await fc.assert(property, { numRuns: runs * (fc.readConfigureGlobal().numRuns as number) })
  })

  it('gives back no more than still counts, by whatever plans the key went and whatever limit was set meanwhile', async () => {
    const steps = fc.array(fc.oneof({ weight: 6, arbitrary: step }, { weight: 1, arbitrary: set }), {
      minLength: 4,
      maxLength: 25,
    })
    const property = fc.asyncProperty(limit, steps, fc.constantFrom(2, 3, 10), (limit, steps, faster) =>
      live(stores[what], limit, steps, faster),
    )
    await fc.assert(property, { numRuns: runs * (fc.readConfigureGlobal().numRuns as number) })
  })

  const take: Step = { kind: 'take', wait: 0.01, part: 0.5, stays: false, by: 'own' }
  const byPlan: Step = { ...take, by: 'plan', part: 0.001 }
  const back: Step = { kind: 'give back', wait: 0.05, place: 0, part: 1 }
  const sets = (times: number, wait: number): Step => ({ kind: 'set', wait, times })
  it.each<[string, Step[]]>([
    ['a plan', [take, byPlan, { ...take, wait: 0.1 }, back]],
    ['a plan, and all had drained', [take, byPlan, { ...take, wait: 0.2 }, back]],
    ['a limit that was set', [take, sets(5, 0.01), sets(1, 0.05), take, back]],
    ['a limit that was set, and all had drained', [take, sets(5, 0.01), sets(1, 0.15), take, back]],
    ['a plan when something had gone back', [take, take, back, byPlan, { ...take, wait: 0.05 }, back]],
  ])('gives back no more than still counts, though %s was faster only meanwhile', async (_, steps) => {
    const limit = tokenBucket({ capacity: 100, refill: 100, per: '100s' }) as Algorithm
    await live(stores[what], limit, steps, 10)
  })

  it.each([[['a']], [['a', 'b']]])(
    'remembers what went back until all has drained, takes of %j together or not',
    async (keys) => {
      const limit = tokenBucket({ capacity: 100, refill: 100, per: '100s' }) as Algorithm
      const table = stores[what].open(`back-${names++}`, limit)
      const take = async (cost: number) => {
        const { given } = await exchange(table, ...keys.map((key): Operation => ['take', key, cost]))
        return given?.get('a')
      }
      const start = 1000 * limit.window
      now = start
      expect(await take(50)).toBe(undefined)
      expect(await take(1)).toBe(undefined)
      await exchange(table, ['refund', 'a', 11])
      now = start + 10_000
      expect(await take(30)).toEqual([start, 11])
      // What was taken before anything went back has drained, and not what was since.
      now = start + 60_000
      expect(await take(1)).toEqual([start, 11])
      now = start + 71_000
      expect(await take(3)).toBe(undefined)
      expect(await take(2)).toBe(undefined)
      const { results } = await exchange(table, ['refund', 'a', 1])
      expect((results[0] as Snapshot).given).toEqual([now, 1])
      expect(await take(1)).toEqual([now, 1])
    },
  )

  it('counts nothing as drained of what went back in the same moment, whatever had drained beside it before', async () => {
    const limit = tokenBucket({ capacity: 100, refill: 100, per: '100s' }) as Algorithm
    const table = stores[what].open(`back-${names++}`, limit)
    const take = async () => {
      const reply = await exchange(table, ['take', KEY, 1])
      const [decision] = reply.results[0] as readonly [Decision]
      return receiptOf(reply, KEY, decision, 1, limit)
    }
    now = 1000 * limit.window
    await take()
    now += 900
    const receipts = [await take(), await take(), await take(), await take()]
    for (const receipt of receipts.reverse()) await exchange(table, refundOf(KEY, 1, 0, receipt))
    const { results } = await exchange(table, ['read', KEY])
    expect(results[0]).toMatchObject({ b: 1, c: 90_000 })
  })
})

/** @param faster how many times the limit the plan is */
async function live(store: Store, limit: Algorithm, steps: readonly Step[], faster: number): Promise<void> {
  const name = `back-${names++}`
  const [capacity, window, rate, per] = limit.parameters as readonly [number, number, number, number]
  const timesAs = (times: number) => limit.with([times * capacity, window, times * rate, per])
  const plan = { table: store.open(name, timesAs(faster)), limit: timesAs(faster), follows: false }
  const own = { table: store.open(name, limit), limit, follows: true }
  let known: LimitInForce = []
  const ask = async ({ table, follows }: typeof own, ...operations: Operation[]) => {
    const reply = await exchangeBy(follows ? known : undefined, table, ...operations)
    known = reply.limit ?? known
    return reply
  }
  /** As the store says, in parts. */
  const used = async () => {
    const { results } = await ask(own, ['read', KEY])
    const { b, c } = results[0] as Snapshot
    return BigInt(b) * BigInt(per) - BigInt(c)
  }
  const all: (Taken & { readonly by: typeof own; readonly rate: number })[] = []
  const rates: Rate[] = []
  let goesBy = plan
  const goBy = (its: typeof own) => {
    goesBy = its
    rates.push({ at: now, rate: rateOf(its.limit) })
  }
  now = 1000 * window
  for (const { wait, ...does } of steps) {
    now += Math.floor(wait * window)
    if (does.kind === 'take') {
      const { part, stays } = does
      const by = does.by === 'own' ? own : plan
      const cost = Math.ceil(part * by.limit.limit)
      const reply = await ask(by, ['take', KEY, cost])
      goBy(by)
      const [decision] = reply.results[0] as readonly [Decision]
      if (decision.allowed) {
        const receipt = receiptOf(reply, KEY, decision, cost, by.limit)
        const parts = BigInt(cost) * BigInt(per)
        all.push({ at: now, cost, parts, receipt, isOpen: !stays, by, rate: rateOf(by.limit) })
      }
    } else if (does.kind === 'set') {
      // A limit that nobody asked by was never in force.
      expect(await used()).toBe(inUse(all, rates, now))
      const before = rateOf(own.limit)
      own.limit = timesAs(does.times)
      known = [0, ...own.limit.parameters]
      await ask(own)
      if (goesBy === own) goBy(own)
      // The key gives way to it later; by a lower one it might be forgotten first.
      if (before <= rateOf(own.limit)) continue
    } else {
      const open = all.filter(({ isOpen }) => isOpen)
      const its = open[does.place % open.length]
      if (its === undefined) continue
      const before = inUse(all, rates, now)
      const cost = Math.ceil(does.part * its.cost)
      await ask(its.by, refundOf(KEY, cost, its.cost - cost, its.receipt))
      const back = before - (await used())
      its.isOpen = false
      its.parts -= back
      expect(back >= 0n && back <= BigInt(cost) * BigInt(per)).toBe(true)
      // What has not drained though nothing were in use beside it any more. Of that a unit had drained in part by then: by a
      // faster rate more than that counts as drained.
      const fastest = Math.max(rateOf(its.by.limit), ...rates.map(({ rate }) => rate))
      const unit = fastest > its.rate ? BigInt(per) * BigInt(Math.ceil(fastest / its.rate)) : 0n
      const part = BigInt(fastest) * BigInt(now - its.at + 2) + unit
      const wanted = [BigInt(cost) * BigInt(per), BigInt(its.cost) * BigInt(per) - part, before]
      const certain = wanted.reduce((one, other) => (one < other ? one : other))
      expect(back >= certain).toBe(true)
    }
    expect(await used()).toBe(inUse(all, rates, now))
  }
}

function exchange(table: Table, ...operations: Operation[]) {
  return exchangeBy(undefined, table, ...operations)
}

/** @param limit what is known of the limit in force, where it is gone by */
function exchangeBy(limit: LimitInForce | undefined, table: Table, ...operations: Operation[]) {
  const once = { node: NODE, sequence: ++sequence, deadline: now }
  return table.exchange({ ...once, since: -1, presence: 0, extra: 0, operations, limit })
}
