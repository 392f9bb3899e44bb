import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Duration, durationMs, LONGEST_DURATION } from './duration.ts'
import { ConfigError } from './errors.ts'

const RUNS = 10 * fc.readConfigureGlobal().numRuns!

const DAY = 24 * 60 * 60 * 1000

test.each<[Duration, number]>([
  [1, 1],
  [60_000, 60_000],
  [365 * DAY, 365 * DAY],
  [730 * DAY, 730 * DAY],
  ['1ms', 1],
  ['250ms', 250],
  ['1s', 1000],
  ['1m', 60_000],
  ['1h', 3_600_000],
  ['1d', DAY],
  ['1w', 7 * DAY],
  ['365d', 365 * DAY],
  ['730d', 730 * DAY],
  ['2 minutes', 120_000],
  ['1 day', DAY],
  ['0.5s', 500],
  ['1.5h', 5_400_000],
  ['1000.0ms', 1000],
  ['007s', 7000],
])('%o is %d ms', (duration, milliseconds) => {
  expect(durationMs(duration, 'window')).toBe(milliseconds)
})

test('whole milliseconds may be written as a decimal number of seconds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: LONGEST_DURATION }), (milliseconds) => {
      const fraction = String(milliseconds % 1000).padStart(3, '0')
      expect(durationMs(`${Math.floor(milliseconds / 1000)}.${fraction}s`, 'window')).toBe(milliseconds)
    }),
    { numRuns: RUNS, examples: [[1001], [LONGEST_DURATION - 1]] },
  )
})

test('whole milliseconds may be written as a decimal number of hours, days or weeks', () => {
  const units = { h: 36_000, d: 864_000, w: 6_048_000 }
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_400 }),
      fc.constantFrom<keyof typeof units>('h', 'd', 'w'),
      (hundredths, unit) => {
        const text = `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}${unit}`
        expect(durationMs(text, 'window')).toBe(hundredths * units[unit])
      },
    ),
    { numRuns: RUNS },
  )
})

const malformed: [unknown, string][] = [
  ['', '""'],
  ['1', '"1"'],
  ['-1s', '"-1s"'],
  ['+1s', '"+1s"'],
  ['0ms', '"0ms"'],
  ['0d', '"0d"'],
  ['1.5ms', '"1.5ms"'],
  ['0.0001s', '"0.0001s"'],
  ['1000.0000001ms', '"1000.0000001ms"'],
  ['1e3s', '"1e3s"'],
  ['0x10s', '"0x10s"'],
  ['.5s', '".5s"'],
  ['1.s', '"1.s"'],
  ['1,5s', '"1,5s"'],
  [' 1s', '" 1s"'],
  ['1s ', '"1s "'],
  ['1s\n', '"1s\\n"'],
  ['1  s', '"1  s"'],
  ['1m 30s', '"1m 30s"'],
  ['1 fortnight', '"1 fortnight"'],
  ['1M', '"1M"'],
  ['1y', '"1y"'],
  ['s', '"s"'],
  ['Infinitys', '"Infinitys"'],
  ['١s', '"١s"'],
  ['731d', '"731d"'],
  ['63072000001ms', '"63072000001ms"'],
  [`${'9'.repeat(400)}s`, `"${'9'.repeat(60)}…"`],
  [0, '0'],
  [-1, '-1'],
  [1.5, '1.5'],
  [Number.NaN, 'NaN'],
  [Infinity, 'Infinity'],
  [-Infinity, '-Infinity'],
  [730 * DAY + 1, '63072000001'],
  [2 ** 53, '9007199254740992'],
  [undefined, 'undefined'],
  [null, 'null'],
  [true, 'true'],
  [[1000], 'an array'],
  [['1s'], 'an array'],
  [{ seconds: 1 }, 'an object'],
  [new String('1s'), 'an object'],
  [() => '1s', 'a function'],
  [Symbol('1s'), 'Symbol(1s)'],
]

test.each(malformed)('%o is a ConfigError that shows it and how it is done', (duration, shown) => {
  const error = thrownBy(() => durationMs(duration as Duration, 'fixedWindow: window'))
  expect(error).toBeInstanceOf(ConfigError)
  expect((error as ConfigError).code).toBe('ERR_DURATION')
  expect((error as ConfigError).message).toBe(
    `fixedWindow: window is ${shown}: give whole milliseconds from 1 to 63072000000 (730 days), or a string such as '250ms', '1m', '1h' or '365d'`,
  )
})

test('any value is either whole milliseconds from 1 to 730 days or a ConfigError', () => {
  const looksRight = fc.stringMatching(
    /^[0-9]{1,12}(\.[0-9]{1,8})? ?(ms|s|m|h|d|w|y|secs|minutes|hours|days)$/,
  )
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.string(), fc.double(), looksRight), (duration) => {
      try {
        const milliseconds = durationMs(duration as Duration, 'window')
        expect(Number.isInteger(milliseconds)).toBe(true)
        expect(milliseconds).toBeGreaterThanOrEqual(1)
        expect(milliseconds).toBeLessThanOrEqual(730 * DAY)
      } catch (error) {
        expect(error).toMatchObject({ name: 'ConfigError', code: 'ERR_DURATION' })
      }
    }),
    { numRuns: RUNS },
  )
})

function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}
