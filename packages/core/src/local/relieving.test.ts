import { expect, it, vi } from 'vitest'
import { farStore, refusingStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, type Store, StoreError } from '../index.ts'
import { ManualClock } from '../testing.ts'
import { LocalKey } from './local-key.ts'

const LIMIT = fixedWindow({ limit: 10, window: '1h' })

const MODES = [
  ['soft', { mode: 'soft' }],
  ['leased', { mode: 'leased' }],
  ['soft with maxOvershoot', { mode: 'soft', maxOvershoot: 0.1 }],
] as const

function limiterOf(clock: ManualClock, store: Store, mode: 'soft' | 'leased' = 'soft', more: object = {}) {
  const sync = { interval: '10m', ...more }
  return createLimiter({
    name: 'api',
    limit: LIMIT,
    mode,
    clock,
    store,
    random: () => 0.5,
    maxKeys: 100,
    sync,
  })
}

it.each(MODES)(
  '%s: after a burst of more new keys than there is room for, the next is taken in once those have their answers',
  async (_, { mode, ...more }) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const limiter = limiterOf(clock, memory, mode, more)
    const burst = await Promise.all(Array.from({ length: 2000 }, (_, key) => limiter.check(`key-${key}`)))
    expect(burst.filter(({ allowed }) => allowed)).toHaveLength(88 + 1100)
    await clock.advance(0)
    expect(await limiter.check('next')).toMatchObject({ allowed: true, remaining: 9 })
    await limiter.close()
    const counted = createLimiter({ name: 'api', limit: LIMIT, clock, store: memory })
    for (const [key, { allowed }] of burst.entries())
      expect((await counted.peek(`key-${key}`)).remaining, `key ${key}`).toBe(allowed ? 8 : 9)
  },
)

it('with the store away and as many keys owed as may be, a check does not go through all of them', async () => {
  const clock = new ManualClock(1_000_000)
  const fault = { isAway: false }
  const store = refusingStore(memoryStore({ clock }), fault)
  const limiter = limiterOf(clock, store)
  for (let key = 0; key < 100; key++) limiter.checkSync(`key-${key}`)
  fault.isAway = true
  await clock.advance(0)
  for (let key = 0; key < 100; key++) limiter.checkSync(`key-${key}`)
  await clock.advance(0)
  expect(limiter.stats()).toMatchObject({ degraded: true, pending: 200 })
  const looks = vi.spyOn(LocalKey.prototype, 'operation')
  for (let round = 0; round < 3; round++)
    for (let key = 0; key < 100; key++) {
      expect(await limiter.check(`key-${key}`)).toMatchObject({ allowed: true })
      await clock.advance(0)
    }
  const looked = looks.mock.calls.length
  looks.mockRestore()
  expect(looked).toBe(0)
  fault.isAway = false
  await clock.advance(10_000)
  await limiter.flush()
  expect(limiter.stats()).toMatchObject({ degraded: false, pending: 0 })
  await limiter.close()
})

it('with the store away, keys that are owed are gone through no oftener than it is asked whether it is back', async () => {
  const clock = new ManualClock(1_000_000)
  let commands = 0
  let isAway = false
  const store = farStore(memoryStore({ clock }), (table, request) => {
    commands++
    return isAway ? Promise.reject(new StoreError('ERR_STORE_AWAY', 'away')) : table.exchange(request)
  })
  const limiter = limiterOf(clock, store, 'soft', { interval: '200ms' })
  for (let key = 0; key < 80; key++) limiter.checkSync(`key-${key}`)
  await clock.advance(1000)
  isAway = true
  for (let key = 0; key < 80; key++) limiter.checkSync(`key-${key}`)
  await clock.advance(20_000)
  const looks = vi.spyOn(LocalKey.prototype, 'operation')
  commands = 0
  await clock.advance(60_000)
  const looked = looks.mock.calls.length
  looks.mockRestore()
  expect(commands).toBeGreaterThan(10)
  expect(looked).toBeLessThanOrEqual(80 * commands)
  isAway = false
  await clock.advance(10_000)
  expect(limiter.stats()).toMatchObject({ degraded: false, pending: 0 })
  await limiter.close()
})
