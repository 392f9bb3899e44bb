import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AcquireError, ConfigError, StoreError, show } from './errors.ts'

test('errors carry a name, a stable code and their cause', () => {
  const cause = new Error('ECONNREFUSED')
  expect(new ConfigError('ERR_KEY', 'no')).toMatchObject({
    name: 'ConfigError',
    code: 'ERR_KEY',
    message: 'no',
  })
  expect(new ConfigError('ERR_LIMIT', 'no', { cause }).cause).toBe(cause)
  expect(new StoreError('ERR_STORE_AWAY', 'gone', { cause })).toMatchObject({
    name: 'StoreError',
    code: 'ERR_STORE_AWAY',
    cause,
    uncertain: false,
  })
  expect(new StoreError('ERR_STORE_TIMEOUT', 'slow', { uncertain: true }).uncertain).toBe(true)
  expect(new AcquireError('ERR_NEVER', 'never')).toMatchObject({ name: 'AcquireError', code: 'ERR_NEVER' })
  for (const error of [new ConfigError('ERR_KEY', ''), new StoreError('ERR_STORE_AWAY', '')]) {
    expect(error).toBeInstanceOf(Error)
  }
})

test('any value can be shown, in few characters and well-formed', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.anything({ withNullPrototype: true, withBigInt: true }),
        fc.string({ unit: 'binary', maxLength: 1000 }),
        fc.bigInt({ min: 10n ** 900n, max: 10n ** 1000n }),
      ),
      (value) => {
        const shown = show(value)
        expect(shown.isWellFormed()).toBe(true)
        expect(shown.length).toBeLessThanOrEqual(6 * 61 + 2)
      },
    ),
    { numRuns: 5 * fc.readConfigureGlobal().numRuns! },
  )
})

test('an object that throws at every touch is shown all the same', () => {
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error('touched')
      },
      getPrototypeOf() {
        throw new Error('touched')
      },
    },
  )
  expect(show(hostile)).toBe('an object')
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  expect(show(proxy)).toBe('an object')
})

test('a bigint is not shown as the number that it is not', () => {
  expect(show(100n)).toBe('100n')
})
