import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { fixedWindow } from './fixed-window/fixed-window.ts'
import { leakyBucket } from './leaky-bucket/leaky-bucket.ts'
import { slidingLog } from './sliding-log/sliding-log.ts'
import { slidingWindow } from './sliding-window/sliding-window.ts'
import { tokenBucket } from './token-bucket/token-bucket.ts'

type Numbers = Record<string, unknown>

/** Each limit, with numbers that are right and the names of its counts and of its duration. */
const LIMITS: [string, (numbers: never) => unknown, { good: Numbers; counts: string[]; duration: string }][] =
  [
    [
      'fixedWindow',
      fixedWindow,
      { good: { limit: 10, window: '1m' }, counts: ['limit'], duration: 'window' },
    ],
    [
      'slidingWindow',
      slidingWindow,
      { good: { limit: 10, window: '1m' }, counts: ['limit'], duration: 'window' },
    ],
    ['slidingLog', slidingLog, { good: { limit: 10, window: '1m' }, counts: ['limit'], duration: 'window' }],
    [
      'tokenBucket',
      tokenBucket,
      { good: { capacity: 10, refill: 5, per: '1s' }, counts: ['capacity', 'refill'], duration: 'per' },
    ],
    [
      'leakyBucket',
      leakyBucket,
      { good: { capacity: 10, leak: 5, per: '1s' }, counts: ['capacity', 'leak'], duration: 'per' },
    ],
  ]

const badCounts: [unknown, string][] = [
  [0, '0'],
  [-0, '0'],
  [-1, '-1'],
  [1.5, '1.5'],
  [0.1, '0.1'],
  [Number.NaN, 'NaN'],
  [Infinity, 'Infinity'],
  [-Infinity, '-Infinity'],
  [2 ** 31, '2147483648'],
  [2 ** 53, '9007199254740992'],
  ['10', '"10"'],
  ['', '""'],
  [null, 'null'],
  [undefined, 'undefined'],
  [true, 'true'],
  [[10], 'an array'],
  [{}, 'an object'],
  [() => 10, 'a function'],
]

describe.each(LIMITS)('%s', (name, limit, { good, counts, duration }) => {
  const made = (numbers: unknown) => errorOf(() => limit(numbers as never))

  test.each(badCounts)('refuses %o as a count and says which are right', (count, shown) => {
    for (const which of counts) {
      const error = made({ ...good, [which]: count })
      expect(error).toBeInstanceOf(ConfigError)
      expect(error?.code).toBe('ERR_LIMIT')
      expect(error?.message).toBe(`${name}: ${which} is ${shown}: give an integer from 1 to 2147483647`)
    }
  })

  test('refuses a number that was left out', () => {
    for (const which of counts) {
      const { [which]: _, ...rest } = good
      expect(made(rest)).toMatchObject({ name: 'ConfigError', code: 'ERR_LIMIT' })
      expect(made(rest)?.message).toContain(`${name}: ${which} is undefined`)
    }
    const { [duration]: _, ...rest } = good
    expect(made(rest)).toMatchObject({ name: 'ConfigError', code: 'ERR_DURATION' })
    expect(made(rest)?.message).toContain(`${name}: ${duration} is undefined`)
  })

  test.each<[unknown, string]>([
    ['', '""'],
    ['1', '"1"'],
    ['-1s', '"-1s"'],
    ['1 fortnight', '"1 fortnight"'],
    ['0ms', '"0ms"'],
    ['1.5ms', '"1.5ms"'],
    ['731d', '"731d"'],
    [0, '0'],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [['1s'], 'an array'],
  ])('refuses the duration %o and says which are right', (value, shown) => {
    const error = made({ ...good, [duration]: value })
    expect(error).toBeInstanceOf(ConfigError)
    expect(error?.code).toBe('ERR_DURATION')
    expect(error?.message).toMatch(`${name}: ${duration} is ${shown}: give whole milliseconds`)
    expect(error?.message).toContain("'250ms'")
  })

  test.each<[unknown, string]>([
    [undefined, 'undefined'],
    [null, 'null'],
    [10, '10'],
    ['10/m', '"10/m"'],
    [true, 'true'],
  ])('given %o instead of its numbers, says how it is written', (numbers, shown) => {
    const error = made(numbers)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error?.code).toBe('ERR_LIMIT')
    expect(error?.message).toMatch(`${name} was given ${shown}: write ${name}({`)
    for (const which of [...counts, duration]) expect(error?.message).toContain(`${which}: `)
  })

  test('refuses a number that there is none of', () => {
    for (const extra of ['burst', 'Window', '__proto__']) {
      const numbers = { ...good }
      Object.defineProperty(numbers, extra, { value: 3, enumerable: true })
      expect(made(numbers)).toMatchObject({
        code: 'ERR_LIMIT',
        message: `the option is "${extra}": ${name} has none of that name; there are ${[...counts, duration].join(', ')}`,
      })
    }
    // What all objects inherit was not given.
    expect(made(Object.assign(Object.create({ burst: 3 }), good))).toBeUndefined()
  })

  test('takes the smallest and the largest numbers, and a year', () => {
    const all = (count: number) => Object.fromEntries(counts.map((which) => [which, count]))
    for (const time of [1, '1ms', '365d', '730d']) {
      expect(made({ ...all(1), [duration]: time })).toBeUndefined()
      expect(made({ ...all(2 ** 31 - 1), [duration]: time })).toBeUndefined()
    }
  })

  test('whatever it is given, it makes a limit or throws a ConfigError', () => {
    const fields = Object.fromEntries(
      [...counts, duration].map((which) => [
        which,
        fc.oneof(fc.constant(good[which]), fc.anything(), fc.integer()),
      ]),
    )
    fc.assert(
      fc.property(fc.oneof(fc.record(fields), fc.anything()), (numbers) => {
        const error = made(numbers)
        if (error !== undefined) expect(error).toBeInstanceOf(ConfigError)
      }),
      { numRuns: 3 * fc.readConfigureGlobal().numRuns! },
    )
  })
})

describe.each<[string, (capacity: number, rate: number, per: string) => unknown, string]>([
  ['tokenBucket', (capacity, refill, per) => tokenBucket({ capacity, refill, per }), 'refill'],
  ['leakyBucket', (capacity, leak, per) => leakyBucket({ capacity, leak, per }), 'leak'],
])('%s', (name, bucket, rate) => {
  test('may take at most 730 days to drain', () => {
    expect(errorOf(() => bucket(730, 1, '1d'))).toBeUndefined()
    expect(errorOf(() => bucket(2, 1, '365d'))).toBeUndefined()
    const error = errorOf(() => bucket(731, 1, '1d'))
    expect(error).toBeInstanceOf(ConfigError)
    expect(error?.code).toBe('ERR_LIMIT')
    expect(error?.message).toBe(
      `${name}: a capacity of 731 at 1 per "1d" takes over 730 days to drain: lower the capacity or raise ${rate}`,
    )
    expect(errorOf(() => bucket(2 ** 31 - 1, 1, '730d'))?.code).toBe('ERR_LIMIT')
  })

  test('says so by a millisecond', () => {
    expect(errorOf(() => bucket(3, 3, '730d'))).toBeUndefined()
    expect(errorOf(() => bucket(1_000_000_000, 999_999_999, '63071999937ms'))?.code).toBe('ERR_LIMIT')
    expect(errorOf(() => bucket(1_000_000_000, 999_999_999, '63071999936ms'))).toBeUndefined()
  })
})

function errorOf(action: () => unknown): ConfigError | undefined {
  try {
    action()
  } catch (error) {
    return error as ConfigError
  }
  return undefined
}
