import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, StoreError } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMIT = fixedWindow({ limit: 10, window: '1h' })

/** A soft limiter that settles each ten minutes, and has taken in all the new keys of a burst that it has room for. */
function setUp() {
  const clock = new ManualClock(1_000_000)
  const fault = { isAway: false, failing: 0 }
  const store = farStore(memoryStore({ clock }), (table, request) => {
    if (fault.isAway) return Promise.reject(new StoreError('ERR_STORE_AWAY', 'away'))
    if (request.operations.some(([name]) => name === 'settle' || name === 'raise') && fault.failing-- > 0)
      return Promise.reject(new StoreError('ERR_STORE_TIMEOUT', 'lost'))
    return table.exchange(request)
  })
  const limiter = createLimiter({
    ...{ name: 'api', limit: LIMIT, mode: 'soft', clock, store, maxKeys: 100, sync: { interval: '10m' } },
    random: () => 0.5,
  })
  const burst = () => Promise.all(Array.from({ length: 2000 }, (_, key) => limiter.check(`key-${key}`)))
  return { clock, store, fault, limiter, burst }
}

it.each([1, 2, 3])(
  'new keys are taken in again where %i answers to the flush that made room were lost',
  async (failing) => {
    const { clock, fault, limiter, burst } = setUp()
    fault.failing = failing
    await burst()
    await clock.advance(1000)
    await limiter.check('next')
    await clock.advance(0)
    expect(await limiter.check('another')).toMatchObject({ allowed: true })
    await limiter.close()
  },
)

it('new keys are taken in again once the store is back, whoever heard of that', async () => {
  const { clock, store, fault, limiter, burst } = setUp()
  const other = createLimiter({ name: 'other', limit: LIMIT, clock, store, random: () => 0.5 })
  fault.isAway = true
  await burst()
  await clock.advance(0)
  await other.check('key')
  expect(limiter.stats()).toMatchObject({ degraded: true })
  fault.isAway = false
  await clock.advance(1000)
  await other.check('key')
  await clock.advance(0)
  await limiter.check('next')
  await clock.advance(0)
  expect(limiter.stats()).toMatchObject({ degraded: false })
  expect(await limiter.check('another')).toMatchObject({ allowed: true })
  await limiter.close()
})
