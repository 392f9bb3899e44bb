import { expect, it } from 'vitest'
import { refusingStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMIT = fixedWindow({ limit: 10, window: '1h' })

function limiter(clock: ManualClock, store = memoryStore({ clock }), maxKeys = 100) {
  return createLimiter({ name: 'api', limit: LIMIT, mode: 'soft', clock, store, maxKeys, random: () => 0.5 })
}

it('a key that this node has just blocked is refused by checkSync, also where nobody had asked for it here', async () => {
  const clock = new ManualClock(1_000_000)
  const soft = limiter(clock)
  expect(await soft.block('a', '1m')).toBe(true)
  expect(soft.checkSync('a')).toMatchObject({ allowed: false, reason: 'blocked', retryAfterMs: 60_000 })
  await clock.advance(30_000)
  expect(soft.checkSync('a')).toMatchObject({ allowed: false, reason: 'blocked', retryAfterMs: 30_000 })
  expect(await soft.check('a')).toMatchObject({ allowed: false, reason: 'blocked', retryAfterMs: 30_000 })
  await clock.advance(30_000)
  expect(soft.checkSync('a')).toMatchObject({ allowed: true, remaining: 9 })
  await soft.close()
})

it('so it is refused where the node has heard of other keys only, and a reset ends it', async () => {
  const clock = new ManualClock(1_000_000)
  const soft = limiter(clock)
  await soft.check('b')
  await soft.block('a', '1m')
  expect(soft.checkSync('a')).toMatchObject({ reason: 'blocked' })
  expect(await soft.reset('a')).toBe(true)
  expect(soft.checkSync('a')).toMatchObject({ allowed: true })
  await soft.block('a', '1m')
  await soft.block('a', '1s')
  await clock.advance(1000)
  expect(soft.checkSync('a')).toMatchObject({ allowed: true })
  await soft.close()
})

it('a block that the store did not take refuses nothing', async () => {
  const clock = new ManualClock(1_000_000)
  const fault = { isAway: true }
  const soft = limiter(clock, refusingStore(memoryStore({ clock }), fault))
  expect(await soft.block('a', '1m')).toBe(false)
  fault.isAway = false
  expect(soft.checkSync('a')).toMatchObject({ allowed: true })
  await soft.close()
})

it('blocks without number take no more room than maxKeys', async () => {
  const clock = new ManualClock(1_000_000)
  const soft = limiter(clock, memoryStore({ clock }), 10)
  for (let key = 0; key < 200; key++) await soft.block(`k${key}`, '1m')
  await clock.advance(2000)
  expect(soft.stats().keys).toBeLessThanOrEqual(10)
  await soft.close()
})
