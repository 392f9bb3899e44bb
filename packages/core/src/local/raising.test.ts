import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, slidingWindow } from '../index.ts'
import type { Store } from '../store/store.ts'
import { faultyStore, ManualClock } from '../testing.ts'

const LIMITS = {
  'fixed window': fixedWindow({ limit: 1000, window: '10m' }),
  'sliding window': slidingWindow({ limit: 1000, window: '10m' }),
}
const EACH = Object.entries(LIMITS)

/** A node over a slow store, and what each operation that left was answered by: nothing, or a snapshot. */
function fleet(limit: (typeof LIMITS)[keyof typeof LIMITS], interval: '1s' | '1h' = '1h') {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const faulty = faultyStore(memory, { clock, latency: 10 })
  const told: string[] = []
  const watched: Store = {
    open: (...call) => {
      const table = faulty.open(...call)
      return {
        get known() {
          return table.known
        },
        now: () => table.now(),
        latest: () => table.latest(),
        exchange: async (request) => {
          const reply = await table.exchange(request)
          for (const [place, [name]] of request.operations.entries())
            told.push(`${name}: ${reply.results[place] === undefined ? 'nothing' : 'snapshot'}`)
          return reply
        },
      }
    },
    close: () => faulty.close(),
  }
  const options = { name: 'api', limit, clock, random: () => 0.5 } as const
  const node = () => createLimiter({ ...options, mode: 'soft', store: watched, sync: { interval } })
  const store = createLimiter({ ...options, store: memory })
  const over = async <T>(promise: Promise<T>) => {
    const [value] = await Promise.all([promise, clock.advance(100)])
    return value
  }
  const settled = async () => 999 - (await store.peek('key')).remaining
  return { clock, faulty, told, node, store, over, settled }
}

it.each(EACH)(
  '%s: what was admitted while a raise was under way stays pending, and is settled',
  async (_, limit) => {
    const { clock, told, node, over, settled } = fleet(limit)
    const limiter = node()
    await over(limiter.check('key'))
    await over(limiter.flush())
    told.length = 0
    for (let turn = 1; turn <= 3; turn++) {
      limiter.checkSync('key', { cost: 5 })
      const flushed = limiter.flush()
      await clock.advance(12)
      limiter.checkSync('key', { cost: 2 })
      await over(flushed)
      expect(limiter.stats().pending).toBe(0)
      expect(await settled()).toBe(1 + 7 * turn)
    }
    expect(told).toEqual(told.map(() => 'raise: nothing'))
  },
)

it.each(EACH)('%s: a raise whose answer is lost counts once', async (_, limit) => {
  const { faulty, told, node, over, settled } = fleet(limit)
  const limiter = node()
  await over(limiter.check('key'))
  await over(limiter.flush())
  told.length = 0
  limiter.checkSync('key', { cost: 5 })
  faulty.network.replyLoss = 1
  await over(limiter.flush().catch(() => {}))
  expect(await settled()).toBe(6)
  faulty.network.replyLoss = 0
  limiter.checkSync('key')
  await over(limiter.flush())
  expect(limiter.stats().pending).toBe(0)
  expect(await settled()).toBe(7)
  // What it had seen is not what is there now; it goes the other way once, and after that knows again.
  expect(told).toEqual(['raise: snapshot'])
  for (const way of ['settle: snapshot', 'raise: nothing']) {
    limiter.checkSync('key')
    await over(limiter.flush())
    expect(told.at(-1)).toBe(way)
  }
  expect(await settled()).toBe(9)
})

it.each(EACH)('%s: who raises hears of what others admitted meanwhile', async (_, limit) => {
  const { told, node, store, over, settled } = fleet(limit)
  const [one, other] = [node(), node()]
  await over(one.check('key'))
  await over(one.flush())
  await over(store.check('key', { cost: 100 }))
  one.checkSync('key')
  told.length = 0
  await over(one.flush())
  expect(told).toEqual(['raise: snapshot'])
  expect(one.checkSync('key').remaining).toBe(897)
  await over(one.flush())
  expect(told.at(-1)).toBe('settle: snapshot')
  await over(other.check('key', { cost: 50 }))
  await over(other.flush())
  one.checkSync('key')
  await over(one.flush())
  expect(told.at(-1)).toBe('raise: snapshot')
  expect(one.checkSync('key').remaining).toBeLessThan(848)
  await over(one.flush())
  // It is not the only one any more.
  expect(told.at(-1)).toBe('settle: snapshot')
  await over(Promise.all([one.close(), other.close()]))
  expect(await settled()).toBe(155)
})

it.each(EACH)('%s: who raises hears of a block and of a reset', async (_, limit) => {
  const { clock, told, node, store, over, settled } = fleet(limit, '1s')
  const limiter = node()
  await over(limiter.check('key', { cost: 9 }))
  await over(limiter.flush())
  await over(store.block('key', '1m'))
  limiter.checkSync('key')
  told.length = 0
  await over(limiter.flush())
  expect(told).toEqual(['raise: snapshot'])
  expect(limiter.checkSync('key')).toMatchObject({ allowed: false, reason: 'blocked' })
  await over(store.reset('key'))
  await clock.advance(2000)
  expect(limiter.checkSync('key').remaining).toBe(999)
  await over(limiter.flush())
  expect(told.at(-1)).toBe('settle: snapshot')
  expect(await settled()).toBe(1)
})
