import { expect, test } from 'vitest'
import type { Algorithm } from './algorithms/algorithm.ts'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { ConfigError, StoreError } from './errors.ts'
import { exchangeJointly, Link } from './link.ts'
import { memoryStore } from './store/memory.ts'
import type { JointTable, Table } from './store/store.ts'
import { ManualClock } from './testing.ts'

const TIMEOUT = 100
const limit = fixedWindow({ limit: 10, window: '1h' }) as Algorithm

const refused = () => new StoreError('ERR_STORE_AWAY', 'the connection was refused')

/** A link whose store answers after so many milliseconds, and what it told of outages. */
function setUp() {
  const clock = new ManualClock(1_000_000)
  const inner = memoryStore({ clock }).open('link', limit)
  const store = { delay: 0 }
  const table: Table = {
    known: true,
    now: () => inner.now(),
    latest: () => inner.latest(),
    exchange: (request) =>
      new Promise((resolve, reject) => {
        clock.setTimer(() => inner.exchange(request).then(resolve, reject), store.delay)
      }),
  }
  const told: string[] = []
  const link = new Link(
    table,
    clock,
    () => 1,
    (away) => told.push(away ? 'degraded' : 'recovered'),
    TIMEOUT,
    limit,
  )
  /** Asks for an answer within so many milliseconds, and resolves with whether it came. */
  const ask = (ms: number) =>
    link.exchange([['peek', 'key']], clock.monotonic() + ms).then(
      () => true,
      () => false,
    )
  return { clock, store, told, ask }
}

test('commands that had hardly any time left tell nothing of the store', async () => {
  const { clock, store, told, ask } = setUp()
  store.delay = 10
  for (let time = 0; time < 5; time++) {
    const answer = ask(5)
    await clock.advance(5)
    expect(await answer).toBe(false)
  }
  const answer = ask(TIMEOUT)
  await clock.advance(TIMEOUT)
  expect(await answer).toBe(true)
  expect(told).toEqual([])
})

test('three commands without an answer do', async () => {
  const { clock, store, told, ask } = setUp()
  store.delay = Infinity
  for (let time = 0; time < 3; time++) {
    expect(told).toEqual([])
    void ask(TIMEOUT)
    await clock.advance(TIMEOUT)
  }
  expect(told).toEqual(['degraded'])
})

test('but not before half of what a check waits has passed since the first of them', async () => {
  const { clock, store, told, ask } = setUp()
  store.delay = Infinity
  for (let time = 0; time < 7; time++) {
    void ask(7)
    await clock.advance(7)
  }
  expect(told).toEqual([])
  void ask(1)
  await clock.advance(1)
  expect(told).toEqual(['degraded'])
})

test('probes of a store that stays away come after twice as long each time, up to 5 s', async () => {
  const { clock, store, ask } = setUp()
  store.delay = Infinity
  for (let time = 0; time < 3; time++) {
    void ask(TIMEOUT)
    await clock.advance(TIMEOUT)
  }
  const waits: number[] = []
  while (waits.length < 9) {
    let waited = 0
    // Each probe goes unanswered; a command that is barred fails at once.
    for (let isBarred = true; isBarred; ) {
      let hasEnded = false
      void ask(TIMEOUT).then(() => {
        hasEnded = true
      })
      await clock.advance(0)
      isBarred = hasEnded
      if (isBarred) await clock.advance(10)
      if (isBarred) waited += 10
    }
    await clock.advance(TIMEOUT)
    waits.push(waited)
  }
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000])
})

test('commands that were under way when the outage was noticed do not put the first probe off', async () => {
  const { clock, store, told, ask } = setUp()
  store.delay = Infinity
  for (let time = 0; time < 10; time++) void ask(TIMEOUT)
  await clock.advance(TIMEOUT)
  expect(told).toEqual(['degraded'])
  store.delay = 1
  await clock.advance(99)
  expect(await ask(TIMEOUT)).toBe(false)
  await clock.advance(1)
  const probe = ask(TIMEOUT)
  await clock.advance(1)
  expect(await probe).toBe(true)
  expect(told).toEqual(['degraded', 'recovered'])
})

test('of limits that are asked together none is put off where another is not to be asked yet', async () => {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  const [sooner, later] = [0, 1].map(
    (random) =>
      new Link(
        store.open(`${random}`, limit),
        clock,
        () => random,
        () => {},
        TIMEOUT,
        limit,
      ),
  ) as [Link, Link]
  for (const link of [sooner, later]) link.failed(refused(), clock.monotonic())
  const joint: JointTable = {
    exchange: (requests) =>
      Promise.all(requests.map((request, at) => store.open(`${at}`, limit).exchange(request))),
  }
  const ask = () =>
    exchangeJointly(
      [sooner, later],
      joint,
      clock,
      [[['take', 'key', 1]], [['take', 'key', 1]]],
      clock.monotonic() + TIMEOUT,
      false,
    ).then(
      () => true,
      () => false,
    )
  await clock.advance(60)
  expect([sooner.barred, later.barred]).toEqual([false, true])
  expect(await ask()).toBe(false)
  await clock.advance(40)
  expect(await ask()).toBe(true)
})

test('limits that were asked together, and refused for another reason, may be asked at once again', async () => {
  const clock = new ManualClock(1_000_000)
  const table = memoryStore({ clock }).open('link', limit)
  const link = new Link(
    table,
    clock,
    () => 1,
    () => {},
    TIMEOUT,
    limit,
  )
  link.failed(refused(), clock.monotonic())
  await clock.advance(100)
  const mismatch = new ConfigError('ERR_MISMATCH', 'the store has another limit')
  const joint: JointTable = { exchange: () => Promise.reject(mismatch) }
  const deadline = clock.monotonic() + TIMEOUT
  await expect(exchangeJointly([link], joint, clock, [[]], deadline, false)).rejects.toBe(mismatch)
  link.probe()
  await clock.advance(0)
  expect(link.away).toBe(false)
})
