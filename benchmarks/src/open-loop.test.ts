import { expect, it } from 'vitest'
import { dueAt, dueBy } from './questions/open-loop.ts'

it.each([5000, 18_975, 25_000, 122_681])('at %i a second, a check is made when it is due', (rate) => {
  const gap = 1000 / rate
  for (let place = 0; place < 1000; place++) {
    expect(dueBy(dueAt(place, rate) - 0.01 * gap, rate)).toBe(place)
    expect(dueBy(dueAt(place, rate) + 0.01 * gap, rate)).toBe(place + 1)
  }
})
