import { expect, test } from 'vitest'
import { EventQueue } from './event-queue.ts'
import { SimulatedClock, type Skew } from './simulated-clock.ts'

function clockWith(skew: Skew) {
  const world = { time: 0, epoch: 1_800_000_000_000, queue: new EventQueue() }
  const process = { alive: true, paused: false, defer: () => {} }
  const clock = new SimulatedClock(world, process, skew, 500)
  /** Lets time pass; the times at which timers fired. */
  const pass = (until: number) => {
    while (world.queue.nextAt <= until) {
      const event = world.queue.take()!
      world.time = event.at
      event.run()
    }
    world.time = until
  }
  return { world, clock, pass }
}

test('the wall clock is off, the monotonic one begins anywhere, and both may run fast', () => {
  const { clock, pass, world } = clockWith({ wall: 3_600_000, rate: 0.001 })
  expect(clock.wall()).toBe(world.epoch + 3_600_000)
  expect(clock.monotonic()).toBe(500)
  pass(100_000)
  expect(clock.wall()).toBe(world.epoch + 3_600_000 + 100_100)
  expect(clock.monotonic()).toBeCloseTo(500 + 100_100, 6)
})

test('timers go by the node’s own clock, in whole milliseconds, and not before one', () => {
  const { clock, pass, world } = clockWith({ rate: 0.001 })
  const fired: [string, number][] = []
  const timer = (name: string, ms: number) => clock.setTimer(() => fired.push([name, world.time]), ms)
  timer('second', 1001)
  timer('fraction', 9.5)
  timer('now', 0)
  clock.clearTimer(timer('cleared', 20))
  pass(2000)
  expect(fired.map(([name]) => name)).toEqual(['now', 'fraction', 'second'])
  expect(fired.map(([, at]) => at * 1.001)).toEqual([1, 10, 1001].map((at) => expect.closeTo(at, 6)))
})

test('while the monotonic clock stands still, timers wait and the wall clock goes on', () => {
  const { clock, pass, world } = clockWith({})
  let firedAt = 0
  clock.setTimer(() => {
    firedAt = world.time
  }, 100)
  pass(50)
  const suspended = 30
  world.time += suspended
  clock.stoodStill(suspended)
  expect(clock.monotonic()).toBe(550)
  expect(clock.wall()).toBe(world.epoch + 80)
  pass(1000)
  expect(firedAt).toBe(130)
})
