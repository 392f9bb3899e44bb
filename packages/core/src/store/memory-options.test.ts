import { ConfigError, createLimiter, fixedWindow, memoryStore, systemClock } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { expect, test } from 'vitest'

test.each<[unknown, string]>([
  [
    'redis://127.0.0.1:6379',
    'memoryStore was given "redis://127.0.0.1:6379": give an object such as { clock }',
  ],
  [null, 'memoryStore was given null'],
  [[], 'memoryStore was given an array'],
  [{ maxKeys: 5 }, 'the option is "maxKeys": memoryStore has none of that name; there are clock'],
  [{ clock: {} }, 'clock is an object: give an object with wall, monotonic, setTimer and clearTimer'],
  [{ clock: null }, 'clock is null'],
])('refuses wrong options: %o', (options, message) => {
  const make = () => memoryStore(options as object)
  expect(make).toThrow(ConfigError)
  expect(make).toThrow(message)
})

test('takes undefined for an option that is left out', () => {
  for (const options of [undefined, {}, { clock: undefined }, { clock: systemClock }]) memoryStore(options)
})

test('time begins at the machine’s clock, and goes on whatever becomes of that', async () => {
  let put = 30_000
  class PutClock extends ManualClock {
    override wall(): number {
      return super.wall() + put
    }
  }
  const clock = new PutClock()
  const limit = fixedWindow({ limit: 1, window: '1m' })
  const limiter = createLimiter({ name: 'api', limit, clock, store: memoryStore({ clock }) })
  expect(await limiter.check('key')).toMatchObject({ allowed: true, resetAfterMs: 30_000 })
  await clock.advance(10_000)
  for (put of [-3_600_000, 3_600_000])
    expect(await limiter.check('key')).toMatchObject({ allowed: false, retryAfterMs: 20_000 })
  await limiter.close()
})
