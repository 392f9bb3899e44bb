import { expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import { Burst } from './burst.ts'
import { Moment } from './moment.ts'

const WINDOW = 1000

/** A moment, and how often the store's time was asked for. */
function setUp({ known = true, turns = true } = {}) {
  const it = { time: 5_000, monotonic: 0, asked: 0, known, endTurn: () => {} }
  const table = {
    get known() {
      return it.known
    },
    now: () => {
      it.asked++
      return it.time
    },
  }
  const afterTurn = (callback: () => void) => {
    it.endTurn = callback
  }
  const clock = {
    monotonic: () => it.monotonic,
    ...(turns && { afterTurn }),
  }
  const moment = new Moment(table as never, new Burst(clock as Clock), WINDOW)
  const look = (times: number) => {
    for (let time = 0; time < times; time++) moment.look()
  }
  return { it, moment, look }
}

test('checks that come close to each other share a reading, so many at the most', () => {
  const { it, moment, look } = setUp()
  look(2)
  it.time = 6_500
  look(15)
  expect([it.asked, moment.now, moment.slice]).toEqual([2, 5_000, 5])
  look(1)
  expect([it.asked, moment.now, moment.slice]).toEqual([3, 6_500, 6])
})

test('a burst goes on where the checks that shared a reading took longer together than one may', () => {
  const { it, moment } = setUp()
  for (let check = 0; check < 2 + 15 + 2 * 16; check++) {
    moment.look()
    it.monotonic += 0.002
  }
  expect(it.asked).toBe(4)
})

test('none outlives its turn of the event loop, nor is it shared by checks further apart', () => {
  const { it, moment, look } = setUp()
  look(2)
  it.endTurn()
  it.time = 5_001
  look(1)
  expect([it.asked, moment.now]).toEqual([3, 5_001])
  it.endTurn()
  for (let check = 0; check < 5; check++) {
    it.monotonic += 0.004
    it.time++
    look(1)
    expect(moment.now).toBe(it.time)
  }
})

test.each([
  ['of a store whose time is only guessed', { known: false }],
  ['of a clock that is moved by hand', { turns: false }],
])('each check has a reading of its own, %s', (_, which) => {
  const { it, look } = setUp(which)
  look(10)
  expect(it.asked).toBe(10)
})
