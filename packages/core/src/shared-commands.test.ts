import { expect, it } from 'vitest'
import { farStore } from '../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, type Reservation, slidingLog } from './index.ts'

/** A store that is asked over a network, and of how many operations each command was. */
function counting() {
  const commands: number[] = []
  const store = farStore(memoryStore(), (table, request) => {
    commands.push(request.operations.length)
    return table.exchange(request)
  })
  return { store, commands }
}

it.each([
  ['of windows, 250 at the most', fixedWindow({ limit: 10_000, window: '1h' }), 250],
  // Each costs as much as its log is long: together they would hold the store.
  ['not of logs', slidingLog({ limit: 10_000, window: '1h' }), 1],
])('what thousands of reservations give back at once shares commands: %s', async (_, limit, most) => {
  const { store, commands } = counting()
  const limiter = createLimiter({ name: 'api', limit, store })
  const calls: Reservation[] = []
  for (let call = 0; call < 1000; call++) calls.push(await limiter.reserve('hot', 5))
  commands.length = 0
  const told = await Promise.all(calls.map((call) => call.settle(2)))
  expect(told.every((is) => is)).toBe(true)
  expect(Math.max(...commands)).toBe(most)
  expect(commands.reduce((sum, operations) => sum + operations)).toBe(1000)
  expect((await limiter.peek('hot')).remaining).toBe(10_000 - 1000 * 2 - 1)
  await limiter.close()
})
