import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { createLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import type { Reply, Store } from '../store/store.ts'

/** What a store's connection does: all answers that have come are told at once, in the order of their commands. */
function tellingAtOnce(far: Store) {
  const commands: string[][] = []
  let untold: (() => void)[] = []
  const store = farStore(far, async (table, request) => {
    commands.push(request.operations.map(([, key]) => key))
    const reply = await table.exchange(request)
    return new Promise<Reply>((resolve) => untold.push(() => resolve(reply)))
  })
  const tell = () => {
    const told = untold
    untold = []
    for (const each of told) each()
  }
  return { store, commands, tell }
}

/** What is to be done without a timer or a socket is done by then. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

it('what the checks of one answer ask next has left before the checks of another one go on', async () => {
  const { store, commands, tell } = tellingAtOnce(memoryStore())
  const limiter = createLimiter({ name: 'turns', limit: fixedWindow({ limit: 9, window: '1h' }), store })
  const events: string[] = []
  const checks = Array.from({ length: 64 }, async (_, n) => {
    await limiter.check(`key${n}`)
    events.push(`answered, of ${commands.length} commands`)
    await limiter.check(`key${n}`)
  })
  await turn()
  expect(commands.map((keys) => keys.length)).toEqual([32, 32])
  tell()
  await turn()
  expect(events).toEqual([
    ...Array.from({ length: 32 }, () => 'answered, of 2 commands'),
    ...Array.from({ length: 32 }, () => 'answered, of 3 commands'),
  ])
  expect(commands[2]).toEqual(commands[0])
  expect(commands[3]).toEqual(commands[1])
  tell()
  await Promise.all(checks)
  await limiter.close()
})

it('answers that come at once are all told, also where nothing is asked after them', async () => {
  const { store, commands, tell } = tellingAtOnce(memoryStore())
  const limiter = createLimiter({ name: 'last', limit: fixedWindow({ limit: 9, window: '1h' }), store })
  for (let round = 1; round <= 3; round++) {
    const checks = Array.from({ length: 64 }, (_, n) => limiter.check(`key${n}`))
    await turn()
    expect(commands.length).toBe(2 * round)
    tell()
    const decisions = await Promise.all(checks)
    expect(decisions.map(({ remaining }) => remaining)).toEqual(Array.from({ length: 64 }, () => 9 - round))
  }
  await limiter.close()
})
