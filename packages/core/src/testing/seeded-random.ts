/**
 * Numbers from 0 (included) to 1 (excluded), the same ones for the same seed: the generator sfc32, by Chris
 * Doty-Humphrey, small and fast with a period of about 2^128. Not for secrets.
 *
 * @param seed an integer
 * @param stream an integer: another one gives numbers that are independent of the seed's other streams
 * @example
 * ```ts
 * import { seededRandom } from '@spillway/core/testing'
 *
 * console.log(seededRandom(1)() === seededRandom(1)()) // true
 * ```
 */
export function seededRandom(seed: number, stream = 0): () => number {
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = stream | 0
  let counter = 1
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  // After a dozen rounds, nothing shows that two seeds are alike.
  for (let round = 0; round < 15; round++) next()
  return next
}
