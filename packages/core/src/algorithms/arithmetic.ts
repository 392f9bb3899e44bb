/*
 * Exact products and quotients of times and counts. A raw product of a count (< 2^31) and a time (< 2^36) can
 * pass 2^53, where doubles stop being exact; then the product is divided digit by digit, base 2^16.
 * `arithmetic.lua.ts` is the same in Lua.
 */

/** The largest count: a limit, a capacity, a cost. */
export const LARGEST_COUNT = 2 ** 31 - 1

let quotient = 0
let remainder = 0

/** Long division of a·b by c, for a < 2^53 and b, c < 2^36: no step passes 2^53. */
function divideLong(a: number, b: number, c: number): void {
  quotient = 0
  remainder = 0
  for (let unit = 2 ** 48; unit >= 1; unit /= 65536) {
    const step = remainder * 65536 + (Math.floor(a / unit) % 65536) * b
    remainder = step % c
    quotient = quotient * 65536 + (step - remainder) / c
  }
}

/**
 * ⌊a ÷ c⌋, for a ≤ 2^53. Exact: a quotient that is not whole is at least 1/c from the next whole number, and rounding
 * moves it by less. `%` of doubles costs several times as much.
 */
export function divide(a: number, c: number): number {
  return Math.floor(a / c)
}

/** ⌈a ÷ c⌉, for a ≤ 2^53 */
export function divideUp(a: number, c: number): number {
  return Math.ceil(a / c)
}

/** ⌊a·b ÷ c⌋ */
export function mulDiv(a: number, b: number, c: number): number {
  const product = a * b
  if (product <= Number.MAX_SAFE_INTEGER) return divide(product, c)
  divideLong(a, b, c)
  return quotient
}

/** a·b mod c */
export function mulMod(a: number, b: number, c: number): number {
  const product = a * b
  if (product <= Number.MAX_SAFE_INTEGER) return product - divide(product, c) * c
  divideLong(a, b, c)
  return remainder
}

/** ⌈a·b ÷ c⌉ */
export function mulDivUp(a: number, b: number, c: number): number {
  const product = a * b
  if (product <= Number.MAX_SAFE_INTEGER) return divideUp(product, c)
  divideLong(a, b, c)
  return remainder > 0 ? quotient + 1 : quotient
}

/** The greatest common divisor. */
export function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

/**
 * ⌈(a·b − less) ÷ c⌉, for less < b. Divided by `common`, which divides b and c, most products are exact; then only
 * whole multiples in `less` matter, since all else is whole. Long division is the last resort: it costs several times a
 * check.
 */
export function mulLessDivUp(a: number, b: number, less: number, c: number, common: number): number {
  const product = a * (b / common)
  if (product <= Number.MAX_SAFE_INTEGER) return divideUp(product - divide(less, common), c / common)
  return mulDiv(a, b, c) + Math.ceil((mulMod(a, b, c) - less) / c)
}
