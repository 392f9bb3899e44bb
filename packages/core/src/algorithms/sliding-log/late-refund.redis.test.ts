import { afterAll, expect, inject, it } from 'vitest'
import type { Clock } from '../../clock.ts'
import type { Decision } from '../../decision.ts'
import { memoryStore } from '../../store/memory.ts'
import { redisStore } from '../../store/redis/redis-store.ts'
import type { Operation } from '../../store/store.ts'
import type { Algorithm } from '../algorithm.ts'
import { slidingLog } from './sliding-log.ts'

let now = 0
let sequence = 0
const clock: Clock = { wall: () => now, monotonic: () => now, setTimer: () => 0, clearTimer: () => {} }
const stores = {
  memory: memoryStore({ clock }),
  Redis: redisStore(inject('redisUrl'), { now: () => now, prefix: 'late-refund' }),
}
afterAll(() => stores.Redis.close())

it.each(['memory', 'Redis'] as const)(
  '%s: of a log nothing goes back that has grown old on its way',
  async (what) => {
    const table = stores[what].open('log', slidingLog({ limit: 100, window: '10s' }) as Algorithm)
    const exchange = async (operation: Operation) => {
      const once = { node: '00000000000000a1', sequence: ++sequence, deadline: now }
      return table.exchange({ ...once, since: -1, presence: 0, extra: 0, operations: [operation] })
    }
    const take = async (cost: number) => {
      const reply = await exchange(['take', 'a', cost])
      return { ...reply, decision: (reply.results[0] as readonly Decision[])[0] as Decision }
    }
    now = 1_000_000
    const { marker } = await take(50)
    now += 5000
    await take(50)
    now += 5020
    await exchange(['refund', 'a', 50, 1_000_000, 0, marker])
    // 50 of 5 s ago count still.
    expect((await take(51)).decision.allowed).toBe(false)
    expect((await take(50)).decision.allowed).toBe(true)
  },
)
