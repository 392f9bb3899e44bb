import fc from 'fast-check'
import { afterAll, describe, expect, inject, it } from 'vitest'
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
import type { Operation, Snapshot, Table } from './store.ts'

const NODE = '00000000000000a1'
const KEY = 'key'

let now = 0
let sequence = 0
let names = 0
const clock: Clock = { wall: () => now, monotonic: () => now, setTimer: () => 0, clearTimer: () => {} }
const stores = {
  memory: memoryStore({ clock }),
  Redis: redisStore(inject('redisUrl'), { now: () => now, prefix: 'giving-back' }),
}

afterAll(() => stores.Redis.close())

/** A cost that was taken: how much of it, in parts of 1/per, and what is known of it. */
interface Taken {
  readonly at: number
  readonly cost: number
  parts: bigint
  readonly receipt: Receipt
  isOpen: boolean
}

/** What is in use by the definition, in parts: what was admitted and did not go back, less what has drained, never below 0. */
function inUse(taken: readonly Taken[], rate: number, at: number): bigint {
  let level = 0n
  let moment = 0
  const drain = (until: number) => {
    level -= BigInt(rate) * BigInt(until - moment)
    if (level < 0n) level = 0n
    moment = until
  }
  for (const { at, parts } of taken) {
    drain(at)
    level += parts
  }
  drain(at)
  return level
}

const limit = fc
  .tuple(
    fc.constantFrom(tokenBucket, leakyBucket),
    fc.integer({ min: 1, max: 60 }),
    fc.integer({ min: 1, max: 60 }),
    fc.constantFrom(7, 97, 1000),
  )
  .map(([make, capacity, rate, per]) => make({ capacity, refill: rate, leak: rate, per }) as Algorithm)

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
  }),
  fc.record({
    kind: fc.constant('give back' as const),
    wait,
    place: fc.nat(20),
    /** That part of it. */
    part: fc.constantFrom(0.3, 0.7, 1, 1),
  }),
)

describe.each([
  ['memory', 20],
  ['Redis', 2],
] as const)('%s', (what, runs) => {
  it('gives back of a bucket no more than what was taken still counts, whatever else went back', async () => {
    const property = fc.asyncProperty(
      limit,
      fc.array(step, { minLength: 3, maxLength: 25 }),
      async (limit, steps) => {
        const table = stores[what].open(`back-${names++}`, limit)
        const rate = rateOf(limit)
        const per = limit.parameters[3] as number
        const all: Taken[] = []
        now = 1000 * limit.window
        for (const { wait, ...does } of steps) {
          now += Math.floor(wait * limit.window)
          if (does.kind === 'take') {
            const { part, stays } = does
            const cost = Math.ceil(part * limit.limit)
            const reply = await exchange(table, ['take', KEY, cost])
            const [decision] = reply.results[0] as readonly [Decision]
            if (decision.allowed) {
              const receipt = receiptOf(reply, KEY, decision, cost, limit)
              const parts = BigInt(cost) * BigInt(per)
              all.push({ at: now, cost, parts, receipt, isOpen: !stays })
            }
          } else {
            const open = all.filter(({ isOpen }) => isOpen)
            const its = open[does.place % open.length]
            if (its === undefined) continue
            const before = await used(table, per)
            const cost = Math.ceil(does.part * its.cost)
            await exchange(table, refundOf(KEY, cost, its.cost - cost, its.receipt))
            const back = before - (await used(table, per))
            its.isOpen = false
            its.parts -= back
            expect(back >= 0n && back <= BigInt(cost) * BigInt(per)).toBe(true)
            // What has not drained though nothing were in use beside it any more. Of that a unit may have drained in part by then.
            const part = BigInt(rate) * BigInt(now - its.at + 2) + BigInt(per)
            const wanted = [BigInt(cost) * BigInt(per), BigInt(its.cost) * BigInt(per) - part, before]
            const certain = wanted.reduce((one, other) => (one < other ? one : other))
            expect(back >= certain).toBe(true)
          }
          expect(await used(table, per)).toBe(inUse(all, rate, now))
        }
      },
    )
    await fc.assert(property, { numRuns: runs * (fc.readConfigureGlobal().numRuns as number) })
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
})

function exchange(table: Table, ...operations: Operation[]) {
  const once = { node: NODE, sequence: ++sequence, deadline: now }
  return table.exchange({ ...once, since: -1, presence: 0, extra: 0, operations })
}

/** As the store says, in parts. */
async function used(table: Table, per: number): Promise<bigint> {
  const { results } = await exchange(table, ['read', KEY])
  const { b, c } = results[0] as Snapshot
  return BigInt(b) * BigInt(per) - BigInt(c)
}
