import { afterAll, expect, it } from 'vitest'
import { startSlowlyExpiringRedis } from '../../../test/slowly-expiring-redis.ts'
import type { Clock } from '../../clock.ts'
import type { Decision } from '../../decision.ts'
import { memoryStore } from '../../store/memory.ts'
import { redisStore } from '../../store/redis/redis-store.ts'
import type { Operation, Snapshot } from '../../store/store.ts'
import type { Algorithm } from '../algorithm.ts'
import { slidingLog } from './sliding-log.ts'

const HARD = '00000000000000a1'
const LEASED = '00000000000000b2'
const OTHER = '00000000000000c3'

let now = 0
let sequence = 0
const clock: Clock = { wall: () => now, monotonic: () => now, setTimer: () => 0, clearTimer: () => {} }
const redis = await startSlowlyExpiringRedis()
const stores = {
  memory: memoryStore({ clock }),
  Redis: redisStore(redis.url, { now: () => now, prefix: 'late-refund' }),
}
afterAll(async () => {
  await stores.Redis.close()
  await redis.stop()
})

/** A log's counts, as a hard node takes of them, and any node asks. */
function log(what: keyof typeof stores, name: string, window: number) {
  const table = stores[what].open(name, slidingLog({ limit: 100, window }) as Algorithm)
  const exchange = async (node: string, operation: Operation) => {
    const once = { node, sequence: ++sequence, deadline: now }
    return table.exchange({ ...once, since: -1, presence: 0, extra: 0, operations: [operation] })
  }
  const take = async (cost: number) => {
    const reply = await exchange(HARD, ['take', 'a', cost])
    return { ...reply, decision: (reply.results[0] as readonly Decision[])[0] as Decision }
  }
  return { exchange, take }
}

it.each(['memory', 'Redis'] as const)(
  '%s: of a log nothing goes back that has grown old on its way',
  async (what) => {
    const { exchange, take } = log(what, 'old', 10_000)
    now = 1_000_000
    const { marker } = await take(50)
    now += 5000
    await take(50)
    now += 5020
    await exchange(HARD, ['refund', 'a', 50, 1_000_000, 0, marker])
    // 50 of 5 s ago count still.
    expect((await take(51)).decision.allowed).toBe(false)
    expect((await take(50)).decision.allowed).toBe(true)
  },
)

it.each(['memory', 'Redis'] as const)(
  '%s: what was booked ahead of a log does not go back at the cost of what came after it',
  async (what) => {
    const { exchange, take } = log(what, 'ahead', 1000)
    // A reservation of 10.
    now = 999_950
    const { marker, decision } = await take(10)
    expect(decision.allowed).toBe(true)
    now = 1_000_400
    expect((await take(90)).decision.allowed).toBe(true)
    // A leased node books what is about to expire: it may spend that from 1_000_950 on.
    now = 1_000_900
    const { results } = await exchange(LEASED, ['read', 'a', [10, 1, 10, 0, 90]])
    const booked = results[0] as Snapshot
    expect(booked.granted).toBeGreaterThan(0)
    expect(booked.starts.every((its, at) => at % 2 === 1 || its >= 1_000_950)).toBe(true)
    // The reservation turns out to be of no use, while it counts still.
    now = 1_000_901
    await exchange(HARD, ['refund', 'a', 10, 999_950, 0, marker])
    now = 1_000_902
    const more = (await take(10)).decision
    // 90 of 1_000_400, and what was taken just now; from 1_000_950 on the leased node spends 10 more.
    const inUse = 90 + (more.allowed ? 10 : 0) + booked.granted
    expect(inUse).toBeLessThanOrEqual(100)
  },
)

it.each(['memory', 'Redis'] as const)(
  '%s: what a node tells a log that it admitted and gave back, of an entry that has expired, takes nothing of others',
  async (what) => {
    const window = 10_000
    const { exchange, take } = log(what, 'expired', window)
    now = 1_000_000
    const slice = now / window
    await exchange(OTHER, ['restore', 'a', 0, slice, [8, 0, 0, 0], [0, 0, 0, 0], null, [now, 8], []])
    // 5 were admitted longer ago than a window, and given back then.
    const late = [now - window - 1, 5]
    await exchange(LEASED, ['restore', 'a', 0, slice, [0, 0, 0, 0], [5, 5, 0, 0], null, [], late])
    expect((await take(93)).decision.allowed).toBe(false)
    expect((await take(92)).decision.allowed).toBe(true)
  },
)
