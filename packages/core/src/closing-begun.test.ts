import { expect, it } from 'vitest'
import { slowStore } from '../test/slow-store.ts'
import {
  ConfigError,
  createLimiter,
  fixedWindow,
  leakyBucket,
  memoryStore,
  type Store,
  StoreError,
} from './index.ts'
import type { Table } from './store/store.ts'
import { ManualClock } from './testing.ts'

/** A store that can be closed: nothing reaches it from then on. */
function closable(clock: ManualClock, memory: Store): Store {
  let isClosed = false
  // Nor what is on its way.
  const arriving: Store = {
    open: (name, ...more) => {
      const table = memory.open(name, ...more)
      const exchange: Table['exchange'] = async (request) => {
        if (isClosed) throw new StoreError('ERR_STORE_AWAY', 'the connection is closed')
        return table.exchange(request)
      }
      return Object.assign(Object.create(table), { exchange })
    },
    close: () => memory.close(),
  }
  const under = slowStore(
    clock,
    () => 5,
    () => 5,
    arriving,
  )
  return {
    open: (name, ...more) => {
      const table = under.open(name, ...more)
      const exchange: Table['exchange'] = async (request) => {
        if (isClosed) throw new ConfigError('ERR_CLOSED', 'the store is closed')
        return table.exchange(request)
      }
      return Object.assign(Object.create(table), { exchange })
    },
    close: async () => {
      isClosed = true
    },
  }
}

const MODES = ['hard', 'soft', 'leased'] as const

it.each(MODES)(
  '%s: what an acquire that is given up had taken has gone back when its limiter has closed',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const store = closable(clock, memory)
    const limit = leakyBucket({ capacity: 10, leak: 1, per: '1h' })
    const limiter = createLimiter({ name: 'api', limit, mode, store, clock, random: () => 0.5 })
    const check = limiter.check('key')
    await clock.advance(1000)
    expect((await check).allowed).toBe(true)
    const controller = new AbortController()
    const acquire = limiter.acquire('key', { cost: 5, signal: controller.signal }).catch(() => 'given up')
    await clock.advance(3000)
    controller.abort()
    const closed = limiter.close().then(() => store.close())
    await clock.advance(1000)
    await closed
    expect(await acquire).toBe('given up')
    const counted = createLimiter({ name: 'api', limit, store: memory, clock })
    expect((await counted.peek('key')).remaining).toBe(10 - 1 - 1)
  },
)

it.each(MODES)('%s: closed a second time, a limiter is closed no sooner', async (mode) => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const store = closable(clock, memory)
  const limit = fixedWindow({ limit: 10, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, mode, store, clock, random: () => 0.5 })
  const reserved = limiter.reserve('key', 5)
  await clock.advance(3000)
  const told = (await reserved).release().catch((error: unknown) => error)
  void limiter.close()
  const closed = limiter.close().then(() => store.close())
  await clock.advance(1000)
  await closed
  expect(await told).toBe(true)
  const counted = createLimiter({ name: 'api', limit, store: memory, clock })
  expect((await counted.peek('key')).remaining).toBe(9)
})

it.each([1, 2])(
  'a hard check of %d limits that was begun is answered before its limiter has closed',
  async (limits) => {
    const clock = new ManualClock(1_000_000)
    const store = closable(clock, memoryStore({ clock }))
    const all = [fixedWindow({ limit: 10, window: '1h' }), fixedWindow({ limit: 5, window: '1m' })]
    const limiter = createLimiter({ name: 'api', limit: all.slice(0, limits), store, clock })
    const check = limiter.check('key').catch((error: unknown) => error)
    const closed = limiter.close().then(() => store.close())
    await clock.advance(1000)
    await closed
    expect(await check).toMatchObject({ allowed: true, source: 'store' })
  },
)
