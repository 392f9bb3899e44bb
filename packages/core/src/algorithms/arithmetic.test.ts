import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  commonDivisor,
  divide,
  divideUp,
  LARGEST_COUNT,
  mulDiv,
  mulDivUp,
  mulLessDivUp,
  mulMod,
} from './arithmetic.ts'

const RUNS = 20 * fc.readConfigureGlobal().numRuns!

/** Integers from `least` to below 2^bits: around powers of two, small ones and all others. */
function integers(least: number, bits: number): fc.Arbitrary<number> {
  const last = 2 ** bits - 1
  const aroundPower = fc
    .tuple(fc.integer({ min: 0, max: bits }), fc.integer({ min: -2, max: 2 }))
    .map(([power, offset]) => Math.min(last, Math.max(least, 2 ** power + offset)))
  return fc.oneof(
    aroundPower,
    fc.integer({ min: least, max: 70_000 }),
    fc.maxSafeInteger().map((any) => least + (Math.abs(any) % (last - least + 1))),
    fc.integer({ min: 0, max: 70_000 }).map((less) => last - less),
  )
}

const operands = fc.tuple(integers(0, 53), integers(0, 36), integers(1, 36))
/** A count times a time: what the algorithms ask for most. */
const counts = fc.tuple(integers(0, 31), integers(0, 36), integers(1, 36))
/** Products that are near a multiple of the divisor, where a rounded product would give another quotient. */
const nearMultiples = fc
  .tuple(integers(1, 53), integers(2, 35), fc.constantFrom(-1, 0, 0, 1))
  .map(([a, c, offset]): [number, number, number] => [a, c + offset, c])
const either = fc.oneof(operands, counts, nearMultiples)

test('the remainder of a product is exact', () => {
  fc.assert(
    fc.property(either, ([a, b, c]) => {
      expect(mulMod(a, b, c)).toBe(Number((BigInt(a) * BigInt(b)) % BigInt(c)))
    }),
    { numRuns: RUNS },
  )
})

test('a quotient is exact, rounded down or up, wherever a double holds it', () => {
  fc.assert(
    fc.property(either, ([a, b, c]) => {
      const product = BigInt(a) * BigInt(b)
      const down = product / BigInt(c)
      fc.pre(down < BigInt(Number.MAX_SAFE_INTEGER))
      const up = product % BigInt(c) > 0n ? down + 1n : down
      expect([mulDiv(a, b, c), mulDivUp(a, b, c)]).toEqual([Number(down), Number(up)])
    }),
    { numRuns: RUNS },
  )
})

test('a quotient of two whole numbers needs no more than the division of doubles', () => {
  const nearMultiple = fc
    .tuple(integers(1, 53), integers(1, 36), fc.constantFrom(-1, 0, 1))
    .map(([a, c, offset]): [number, number] => [Math.min(2 ** 53, Math.max(0, a - (a % c) + offset)), c])
  fc.assert(
    fc.property(fc.oneof(nearMultiple, fc.tuple(integers(0, 53), integers(1, 36))), ([a, c]) => {
      const down = BigInt(a) / BigInt(c)
      const up = down + (BigInt(a) % BigInt(c) > 0n ? 1n : 0n)
      expect([divide(a, c), divideUp(a, c)]).toEqual([Number(down), Number(up)])
    }),
    { numRuns: RUNS },
  )
})

test('a product less a part of its second factor is divided exactly, with what that and the divisor have in common or without', () => {
  const round = fc.constantFrom(1, 2, 1000, 60_000, 86_400_000)
  const numbers = fc.tuple(integers(1, 31), integers(1, 36), integers(1, 31), round, fc.nat(), fc.boolean())
  fc.assert(
    fc.property(numbers, ([a, anyB, anyC, factor, any, reduce]) => {
      const b = anyB * factor < 2 ** 36 ? anyB * factor : anyB
      const c = anyC * factor < 2 ** 31 ? anyC * factor : anyC
      const less = any % b
      const over = BigInt(a) * BigInt(b) - BigInt(less)
      const up = (over + BigInt(c) - 1n) / BigInt(c)
      fc.pre(up < BigInt(Number.MAX_SAFE_INTEGER))
      const common = commonDivisor(b, c)
      expect([b % common, c % common, commonDivisor(b / common, c / common)]).toEqual([0, 0, 1])
      expect(mulLessDivUp(a, b, less, c, reduce ? common : 1)).toBe(Number(up))
    }),
    { numRuns: RUNS },
  )
})

test('a quotient beyond what a double holds is still that large', () => {
  fc.assert(
    fc.property(operands, ([a, b, c]) => {
      const exact = (BigInt(a) * BigInt(b)) / BigInt(c)
      fc.pre(exact >= BigInt(Number.MAX_SAFE_INTEGER))
      for (const quotient of [mulDiv(a, b, c), mulDivUp(a, b, c)]) {
        expect(Math.abs(quotient / Number(exact) - 1)).toBeLessThan(1e-12)
        expect(quotient).toBeGreaterThanOrEqual(Number.MAX_SAFE_INTEGER)
      }
    }),
    { numRuns: RUNS },
  )
})

test.each([
  [0, 0, 1, 0, 0, 0],
  [2 ** 53 - 1, 1, 1, 2 ** 53 - 1, 0, 2 ** 53 - 1],
  [2 ** 53 - 1, 2 ** 36 - 1, 2 ** 36 - 1, 2 ** 53 - 1, 0, 2 ** 53 - 1],
  [2 ** 53 - 1, 2 ** 36 - 2, 2 ** 36 - 1, 2 ** 53 - 131_074, 68_719_345_664, 2 ** 53 - 131_073],
  [LARGEST_COUNT, 63_072_000_000, 63_072_000_000, LARGEST_COUNT, 0, LARGEST_COUNT],
  [LARGEST_COUNT, 63_071_999_999, 63_072_000_000, LARGEST_COUNT - 1, 60_924_516_353, LARGEST_COUNT],
])('%d × %d ÷ %d', (a, b, c, down, rest, up) => {
  expect([mulDiv(a, b, c), mulMod(a, b, c), mulDivUp(a, b, c)]).toEqual([down, rest, up])
})
