import { expect, test } from 'vitest'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { slidingLog, slidingWindow } from '../index.ts'
import { memoryStore } from '../store/memory.ts'
import type { Ask, Operation, Snapshot } from '../store/store.ts'
import { ManualClock } from '../testing.ts'
import { LocalKey } from './local-key.ts'
import { Rows } from './rows.ts'

test('what is booked ahead goes back when the store says that its slice is over, and not when the node takes it for over', async () => {
  const limit = slidingLog({ limit: 10, window: 1000 }) as Algorithm
  const clock = new ManualClock()
  const table = memoryStore({ clock }).open('api', limit)
  const key = new LocalKey(new Rows(() => limit.cells()), 'key', limit, 0, undefined)
  const exchange = async (operation: Operation) => {
    const once = { node: '00000000000000a1', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 }
    const { results } = await table.exchange({ ...once, operations: [operation] })
    return results[0]
  }
  const settle = async (ask: Ask, now: number) => {
    const snapshot = await exchange(key.operation(ask, 0))
    key.reconcile(snapshot as Snapshot, now, now + 100)
  }
  const isAllowed = async () =>
    ((await exchange(['take', 'key', 1])) as readonly { allowed: boolean }[])[0]?.allowed
  const nothing: Ask = [0, 0, 0, 0]

  await clock.advance(990)
  await exchange(['take', 'key', ...Array.from({ length: 10 }, () => 1)])
  await clock.advance(990)
  await settle(nothing, 1980)
  // All that is freed at 1990 is booked. The answer comes when the node takes the store for 25 ms further on than it is.
  const answer = await exchange(key.operation([1, 1, 20, 0, 15], 0))
  key.roll(2)
  key.reconcile(answer as Snapshot, 2005, 2105)
  expect(answer).toMatchObject({ slice: 1, starts: [1990, 10] })
  expect(key.owes).toBe(false)
  await settle(nothing, 2005)
  expect(await isAllowed()).toBe(false)
  await clock.advance(21)
  await settle(nothing, 2026)
  expect(key.owes).toBe(true)
  expect(await isAllowed()).toBe(false)
  await settle(nothing, 2026)
  expect(key.owes).toBe(false)
  expect(await isAllowed()).toBe(true)
})

test('what is owed of the window before counts in it, where the node took that to be over too early', async () => {
  const limit = slidingWindow({ limit: 1, window: 1000 }) as Algorithm
  const clock = new ManualClock()
  const table = memoryStore({ clock }).open('api', limit)
  const key = new LocalKey(new Rows(() => limit.cells()), 'key', limit, 0, undefined)
  key.roll(0)
  key.admitted(144, 1)
  // The node takes the store for 100 ms further on than it is.
  key.roll(1)
  await clock.advance(968)
  const { results } = await table.exchange({
    ...{ node: '00000000000000a1', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
    operations: [key.operation([0, 0, 0, 0], 0)],
  })
  key.reconcile(results[0] as Snapshot, 968, 1068)
  const isAllowed = (now: number) => limit.take(key.state, now, 1, 'local', false).allowed
  expect([isAllowed(968), isAllowed(1000), isAllowed(1500), isAllowed(2000)]).toEqual([
    false,
    false,
    false,
    true,
  ])
})
