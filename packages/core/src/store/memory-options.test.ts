import { ConfigError, memoryStore, systemClock } from '@spillway/core'
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
