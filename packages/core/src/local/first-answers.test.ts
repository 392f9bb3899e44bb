import { expect, it } from 'vitest'
import { BOOKING } from '../../test/modes.ts'
import { slowFarStore } from '../../test/slow-store.ts'
import {
  createLimiter,
  type Decision,
  fixedWindow,
  memoryStore,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import type { Operation } from '../store/store.ts'
import { ManualClock, seededRandom } from '../testing.ts'

/** A store that is `trip` ms away, and what it is told, at which time. */
function storeAt(trip: number) {
  const clock = new ManualClock(1_800_000_000_000)
  const memory = memoryStore({ clock })
  const told: { at: number; operation: Operation }[] = []
  const store = slowFarStore(clock, trip / 2, trip / 2, memory, (operations) => {
    for (const operation of operations) told.push({ at: clock.monotonic(), operation })
  })
  return { clock, memory, store, told }
}

it.each([20, 45, 60, 90])(
  'a store %i ms away answers in time: no first check is left to `onOutage`',
  async (trip) => {
    const { clock, memory, store } = storeAt(trip)
    const limit = fixedWindow({ limit: 1000, window: '1h' })
    const shared = { name: 'api', limit, clock, random: seededRandom(1), timeout: 100 } as const
    const make = () => createLimiter({ ...shared, mode: 'soft', store, onOutage: 'deny' })
    const nodes = Array.from({ length: 4 }, make)
    await Promise.all([...nodes.map((node) => node.check('old')), clock.advance(5000)])
    const hard = createLimiter({ ...shared, store: memory })
    await hard.check('key', { cost: 997 })
    const asked = nodes.map((node) => node.check('key'))
    await clock.advance(200)
    const decisions = await Promise.all(asked)
    expect(decisions.map(({ source }) => source)).toEqual(Array(4).fill('local'))
    expect(decisions.filter(({ allowed }) => allowed).length).toBe(3)
    await Promise.all([hard.close(), ...nodes.map((node) => node.close()), clock.advance(1000)])
  },
)

it.each([
  ['sliding window', slidingWindow({ limit: 600, window: '1m' })],
  ['token bucket', tokenBucket({ capacity: 100, refill: 10, per: '1s' })],
])(
  '%s: the first check of a saturated key asks again, where the node’s share is not enough',
  async (_, limit) => {
    const { clock, store } = storeAt(2)
    const random = seededRandom(1)
    const make = () => createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random })
    const nodes = Array.from({ length: 3 }, make)
    const other = make()
    await Promise.all([...nodes.map((node) => node.check('old')), other.check('old'), clock.advance(5000)])
    const keys = Array.from({ length: 20 }, (_, number) => `key-${number}`)
    const first: Promise<Decision>[] = []
    for (let step = 0; step < 1600; step++) {
      // Three times what time frees.
      for (const key of keys) if (random() < 1.5) void nodes[Math.floor(random() * 3)]?.check(key)
      const key = step % 10 === 0 ? keys[(step - 1400) / 10] : undefined
      if (key !== undefined) first.push(Promise.resolve(other.check(key)))
      await clock.advance(50)
    }
    const decisions = await Promise.all(first)
    expect(decisions.length).toBe(20)
    // By the answer there was something left, of which nothing was booked.
    expect(decisions.filter(({ allowed, remaining }) => !allowed && remaining > 0)).toEqual([])
    await Promise.all([...nodes, other].map((node) => node.close()).concat(clock.advance(5000)))
  },
)

it.each(['capped', 'leased'] as const)(
  '%s: what a first answer books for a key that was pushed out meanwhile goes back with the next command',
  async (mode) => {
    const { clock, store, told } = storeAt(20)
    const limit = fixedWindow({ limit: 1000, window: '1h' })
    const random = seededRandom(1)
    const limiter = createLimiter({ name: 'api', limit, store, clock, random, maxKeys: 8, ...BOOKING[mode] })
    const start = clock.monotonic()
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const key of keys) expect(limiter.checkSync(key).reason).toBe('sync')
    await clock.advance(5)
    // Which keys are kept is not told: most of the first are not.
    for (let other = 0; other < 60; other++) limiter.checkSync(`other-${other}`)
    await clock.advance(100)
    const settled = told.filter(
      ({ operation: [name, key] }) => name === 'settle' && keys.includes(key as string),
    )
    expect(settled.length).toBeGreaterThan(0)
    expect(settled.map(({ at }) => at - start)).toEqual(settled.map(() => 20))
    await Promise.all([limiter.close(), clock.advance(1000)])
  },
)
