import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Algorithm, isBucket } from './algorithms/algorithm.ts'
import type { Receipt } from './decider.ts'
import type { Decision } from './decision.ts'
import { GiveBacks } from './give-backs.ts'
import { receiptOf } from './hard/take-queue.ts'
import { fixedWindow, leakyBucket, memoryStore, slidingLog, slidingWindow, tokenBucket } from './index.ts'
import type { Operation } from './store/store.ts'
import { ManualClock } from './testing.ts'

const CAPACITY = 1000
const MS = 10_000
const LIMITS = [
  fixedWindow({ limit: CAPACITY, window: MS }),
  slidingWindow({ limit: CAPACITY, window: MS }),
  slidingLog({ limit: CAPACITY, window: MS }),
  tokenBucket({ capacity: CAPACITY, refill: CAPACITY, per: MS }),
  leakyBucket({ capacity: CAPACITY, leak: CAPACITY, per: MS }),
].map((limit) => [limit.algorithm, limit as Algorithm] as const)

/** A key, and how much of it is in use. */
function counted(limit: Algorithm, clock: ManualClock) {
  const table = memoryStore({ clock }).open('api', limit)
  const carryOut = (operation: Operation) =>
    table.exchange({
      node: '00000000000000a1',
      sequence: 0,
      deadline: 0,
      since: -1,
      presence: 0,
      extra: 0,
      operations: [operation],
    })
  return {
    carryOut,
    /** What it was taken by, for each cost. */
    take: async (...costs: number[]): Promise<Receipt[]> => {
      const reply = await carryOut(['take', 'key', ...costs])
      return (reply.results[0] as readonly Decision[]).map((decision, place) => {
        expect(decision.allowed).toBe(true)
        return receiptOf(reply, 'key', decision, costs[place] as number, limit)
      })
    },
    used: async () => {
      const [decision] = (await carryOut(['peek', 'key'])).results[0] as readonly Decision[]
      return CAPACITY - 1 - (decision as Decision).remaining
    },
  }
}

const cost = fc.integer({ min: 1, max: 9 })
const step = fc.oneof(
  fc.tuple(fc.constant('take' as const), cost),
  fc.tuple(fc.constant('others take' as const), cost),
  fc.tuple(fc.constant('others give back' as const), fc.nat({ max: 9 })),
  fc.tuple(fc.constant('send' as const), fc.nat({ max: 2 })),
  // What drains of a bucket in a millisecond is a tenth of a token.
  fc.tuple(fc.constant('advance' as const), fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 2000 }))),
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Within a millisecond what was beside them became less: of a bucket they are two. */
const GIVEN_BETWEEN: Step[] = [
  ['others take', 9],
  ['take', 5],
  ['others give back', 0],
  ['take', 1],
  ['advance', 50],
  ['others take', 9],
]

/** Of two windows, of each of which others took too. */
const OVER_AN_END: Step[] = [
  ['others take', 9],
  ['advance', 9990],
  ['take', 5],
  ['advance', 20],
  ['others take', 9],
  ['take', 3],
  ['send', 2],
]

describe.each(LIMITS)('%s', (algorithm, limit) => {
  it('no more goes back than still counts of what was taken: as much is in use as if it had not been', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = new ManualClock(1_000_000)
        const [its, without] = [counted(limit, clock), counted(limit, clock)]
        const giveBacks = new GiveBacks(limit.window, Infinity)
        const others: [cost: number, Receipt, Receipt][] = []
        const send = async (most: number) => {
          for (const { operation } of giveBacks.take(most)) await its.carryOut(operation)
        }
        for (const [what, number] of steps) {
          if (what === 'advance') await clock.advance(number)
          else if (what === 'send') await send(number)
          else if (what === 'take') {
            const [receipt] = await its.take(number)
            void giveBacks.add('key', number, receipt as Receipt)
          } else if (what === 'others take') {
            const [one] = await its.take(number)
            const [other] = await without.take(number)
            others.push([number, one as Receipt, other as Receipt])
          } else {
            const [gone] = others.splice(number, 1)
            if (gone === undefined) continue
            const [cost, one, other] = gone
            for (const [where, { at, marker, others }] of [[its, one] as const, [without, other] as const])
              await where.carryOut(['refund', 'key', cost, at, 0, marker, others])
          }
        }
        await send(Infinity)
        for (let time = 0; time <= 2 * MS; time += 500) {
          const [used, least] = [await its.used(), await without.used()]
          if (algorithm.endsWith('window')) expect(used).toBe(least)
          else expect(used).toBeGreaterThanOrEqual(least)
          await clock.advance(500)
        }
      }),
      { seed: 20_261_128, examples: [[GIVEN_BETWEEN], [OVER_AN_END]] },
    )
  })

  it('of one answer as much goes back as one by one', async () => {
    const costs = fc.array(fc.tuple(cost, fc.boolean()), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 50 }), costs, fc.nat({ max: 30 }), async (before, taken, ms) => {
        const clock = new ManualClock(1_000_000)
        const [summed, apart] = [counted(limit, clock), counted(limit, clock)]
        const one = new GiveBacks(limit.window, Infinity)
        for (const [where, isSummed] of [[summed, true] as const, [apart, false] as const]) {
          if (before > 0) await where.take(before)
          const receipts = await where.take(...taken.map(([cost]) => cost))
          const goes = taken.flatMap(([cost, goesBack], place) =>
            goesBack ? [[cost, receipts[place] as Receipt] as const] : [],
          )
          if (isSummed) for (const [cost, receipt] of goes) void one.add('key', cost, receipt)
          else {
            await clock.advance(ms)
            for (const [cost, { at, marker, others }] of goes)
              await where.carryOut(['refund', 'key', cost, at, 0, marker, others])
          }
        }
        const waiting = one.take(Infinity)
        expect(waiting.length).toBeLessThanOrEqual(1)
        for (const { operation } of waiting) await summed.carryOut(operation)
        const [used, asBefore] = [await summed.used(), await apart.used()]
        if (!isBucket(limit) || ms === 0) expect(used).toBe(asBefore)
        // What has drained counts once, and not for each; and also of what was taken behind one that stays.
        else expect(used).toBeLessThanOrEqual(asBefore + Math.ceil((ms * CAPACITY) / MS))
      }),
      { seed: 20_261_128 },
    )
  })
})

it('of a log what was taken within a sixteenth of the window goes back together, and what was later by itself', () => {
  const giveBacks = new GiveBacks(MS, Infinity)
  const receipt = (at: number): Receipt => ({ at, marker: 'm', others: [0, 0, 0, 0, 0, 0] })
  for (const at of [20_000, 20_000, 20_625, 20_626, 20_626]) void giveBacks.add('key', 1, receipt(at))
  void giveBacks.add('key', 1, { ...receipt(20_626), marker: 'another' })
  expect(giveBacks.size).toBe(3)
  expect(giveBacks.take(9).map(({ operation }) => operation.slice(2, 4))).toEqual([
    [3, 20_000],
    [2, 20_626],
    [1, 20_626],
  ])
  expect(giveBacks.size).toBe(0)
})

it('it goes back by the receipt of what was taken first, whichever was heard of first', () => {
  const giveBacks = new GiveBacks(MS, Infinity)
  const add = (key: string, at: number, beside: number) =>
    void giveBacks.add(key, 1, { at, marker: 'm', others: [beside, 0, 0, 0, 1, at] })
  for (const at of [20_001, 20_000]) add('of two times', at, 0)
  for (const beside of [7, 5, 6]) add('of one time', 20_000, beside)
  expect(giveBacks.take(9).map(({ operation }) => [operation[1], operation[2], operation[3]])).toEqual([
    ['of two times', 1, 20_001],
    ['of two times', 1, 20_000],
    ['of one time', 3, 20_000],
  ])
  for (const beside of [7, 5, 6]) add('of one time', 20_000, beside)
  expect(giveBacks.take(9).map(({ operation }) => operation[6])).toEqual([[5, 0, 0, 0, 1, 20_000]])
})

it('what waits of a key is had in its order, and no more than may wait is kept', async () => {
  const giveBacks = new GiveBacks(MS, 3)
  const add = (key: string, marker: string) =>
    giveBacks.add(key, 1, { at: 20_000, marker, others: [0, 0, 0, 0, 0, 0] })
  for (const [key, marker] of ['a1', 'b1', 'a2']) void add(key as string, marker as string)
  await add('c', '1')
  expect(giveBacks.size).toBe(3)
  expect(giveBacks.takeOf('a').map(({ operation }) => operation[5])).toEqual(['1', '2'])
  expect(giveBacks.takeOf('a')).toEqual([])
  void add('c', '1')
  expect(giveBacks.take(1).map(({ operation }) => operation[1])).toEqual(['b'])
  expect(giveBacks.take(9).map(({ operation }) => operation[1])).toEqual(['c'])
})
