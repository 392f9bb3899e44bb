import { expect, test } from 'vitest'
import { seededRandom } from './seeded-random.ts'

const some = (random: () => number, count = 20_000) => Array.from({ length: count }, random)

test('the same seed and stream give the same numbers, others others', () => {
  expect(some(seededRandom(7, 3))).toEqual(some(seededRandom(7, 3)))
  const firsts = [seededRandom(7, 3), seededRandom(7, 4), seededRandom(8, 3), seededRandom(7 + 2 ** 32, 3)]
  expect(new Set(firsts.map((random) => random())).size).toBe(4)
})

test('numbers are spread evenly from 0 to 1, whatever the seed', () => {
  for (const seed of [0, 1, 2, 2 ** 31, -5, 2 ** 40]) {
    const counts = new Array<number>(10).fill(0)
    const numbers = some(seededRandom(seed))
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
    for (const number of numbers) {
      const tenth = Math.floor(number * 10)
      counts[tenth] = (counts[tenth] as number) + 1
    }
    // five standard deviations
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(5 * Math.sqrt(20_000 * 0.09))
  }
})

test('streams of one seed go their own ways', () => {
  const [one, other] = [some(seededRandom(1, 1)), some(seededRandom(1, 2))]
  const products = one.map((number, place) => (number - 0.5) * ((other[place] as number) - 0.5))
  const mean = products.reduce((sum, product) => sum + product, 0) / products.length
  expect(Math.abs(mean)).toBeLessThan(5 / 12 / Math.sqrt(products.length))
})
