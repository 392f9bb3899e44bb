import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { leakyBucket } from '../algorithms/leaky-bucket/leaky-bucket.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import { createLimiter, type Mode, type Reservation } from '../index.ts'
import { memoryStore } from '../store/memory.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { seededRandom } from '../testing/seeded-random.ts'
import { usageOf } from '../testing/usage.ts'

const limit = fc
  .tuple(
    fc.constantFrom(
      (capacity: number, refill: number, per: number) => tokenBucket({ capacity, refill, per }),
      (capacity: number, leak: number, per: number) => leakyBucket({ capacity, leak, per }),
    ),
    fc.integer({ min: 2, max: 12 }),
    fc.integer({ min: 1, max: 60 }),
    fc.constantFrom(97, 1000),
  )
  .map(([make, capacity, rate, per]) => make(capacity, rate, per) as Algorithm)

const step = fc.record({
  /** Milliseconds, by how much drains in them. */
  wait: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(0, 0, 0, 0.1, 0.5) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 0.7, noNaN: true }) },
  ),
  node: fc.nat(2),
  what: fc.constantFrom('reserve', 'reserve', 'reserve', 'release', 'release', 'check', 'flush'),
  place: fc.nat(20),
  /** That part of the capacity, or of what was reserved. */
  part: fc.constantFrom(0.2, 0.5, 0.5, 1, 1),
})

/** What was admitted, and did not go back. */
interface Admitted {
  readonly at: number
  cost: number
  /** As long as it may go back. */
  open?: Reservation | undefined
}

/** By the definition; what goes back was never in use. */
function mostOver(limit: Algorithm, all: readonly Admitted[]): number {
  const usage = usageOf(limit)
  let most = -limit.limit
  for (const { at, cost } of all) {
    usage.admit(at, cost)
    most = Math.max(most, usage.over(at))
  }
  return most
}

describe.each<[string, readonly Mode[]]>([
  ['leased', ['leased', 'leased', 'leased']],
  ['leased and hard', ['leased', 'hard', 'leased']],
  ['hard', ['hard', 'hard', 'hard']],
])('%s', (_, modes) => {
  it('reservations of a bucket give back no more than still counts: it is never above its limit', async () => {
    const property = fc.asyncProperty(
      limit,
      fc.array(step, { minLength: 5, maxLength: 12 }),
      async (limit, steps) => {
        const clock = new ManualClock(1000 * limit.window)
        const store = memoryStore({ clock })
        const random = seededRandom(1)
        const nodes = modes.map((mode) => createLimiter({ name: 'api', limit, mode, store, clock, random }))
        const all: Admitted[] = []
        // The first check of a node is the one that tells it of the key.
        for (const node of nodes) await node.peek('a')
        for (const { wait, node: which, what, place, part } of steps) {
          await clock.advance(Math.floor(wait * limit.window))
          const node = nodes[which] as (typeof nodes)[number]
          const cost = Math.ceil(part * limit.limit)
          const at = clock.monotonic()
          if (what === 'flush') await node.flush()
          else if (what === 'check') {
            if ((await node.check('a', { cost })).allowed) all.push({ at, cost })
          } else if (what === 'reserve') {
            const call = await node.reserve('a', cost, { settleAfter: '1h' })
            if (call.allowed) all.push({ at, cost, open: call })
          } else {
            const open = all.filter((one) => one.open !== undefined)
            const its = open[place % open.length]
            if (its === undefined) continue
            const actual = its.cost - Math.ceil(part * its.cost)
            await its.open?.settle(actual)
            its.open = undefined
            its.cost = actual
          }
          expect(mostOver(limit, all)).toBeLessThanOrEqual(0)
        }
        await Promise.all(nodes.map((node) => node.close()))
        // Nothing is booked any more: all that is left is taken.
        const last = createLimiter({ name: 'api', limit, store, clock })
        for (let cost = limit.limit; cost > 0; cost = Math.floor(cost / 2))
          while ((await last.check('a', { cost })).allowed) all.push({ at: clock.monotonic(), cost })
        expect(mostOver(limit, all)).toBeLessThanOrEqual(0)
      },
    )
    await fc.assert(property, { numRuns: 4 * (fc.readConfigureGlobal().numRuns as number) })
  })
})

it('leased: also where what went back had drained in the store, and not yet what was taken of booked quota beside it', async () => {
  const limit = tokenBucket({ capacity: 10, refill: 1, per: 97 })
  const clock = new ManualClock(970_000)
  const store = memoryStore({ clock })
  const options = { name: 'api', limit, store, clock, random: seededRandom(1) }
  const hard = createLimiter(options)
  const [one, two] = [
    createLimiter({ ...options, mode: 'leased' }),
    createLimiter({ ...options, mode: 'leased' }),
  ]
  for (const node of [one, two]) await node.peek('a')
  const first = await hard.reserve('a', 5, { settleAfter: '1h' })
  // It books what is left, and takes 2 of that.
  expect((await two.check('a', { cost: 10 })).allowed).toBe(false)
  const second = await two.reserve('a', 2, { settleAfter: '1h' })
  expect([first.allowed, second.allowed]).toEqual([true, true])
  await first.release()
  // 5 drain: the 5 that went back would have, and the 2 have.
  await clock.advance(485)
  let taken = 0
  if ((await one.check('a', { cost: 2 })).allowed) taken += 2
  await second.settle(1)
  for (let check = 0; check < 2; check++) if ((await one.check('a', { cost: 2 })).allowed) taken += 2
  await Promise.all([one.close(), two.close()])
  while ((await hard.check('a')).allowed) taken++
  expect(taken).toBeLessThanOrEqual(10)
  await hard.close()
})
