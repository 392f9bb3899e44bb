import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { createLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import type { Operation } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

/** The demand that each settlement of the key told of, by a node that came with it and does not know whether it is alone. */
async function demands(checks: number): Promise<number[]> {
  const clock = new ManualClock(1_800_000_000_000)
  const memory = memoryStore({ clock })
  const operations: Operation[] = []
  // It does not say whether anybody else has it: as Redis.
  const store = farStore(memory, (table, request) => {
    operations.push(...request.operations)
    return table.exchange(request)
  })
  const limit = fixedWindow({ limit: 1000, window: '1h' })
  const node = createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random: () => 0.5 })
  for (let second = 0; second < 4; second++) {
    for (let check = 0; check < checks; check++) expect(node.checkSync('a').allowed).toBe(true)
    await clock.advance(1000)
  }
  await Promise.all([node.close(), clock.advance(1000)])
  return operations.flatMap((operation) => {
    if (operation[0] === 'raise') return [operation[5]]
    return operation[0] === 'settle' ? [operation[6]?.[0] ?? 0] : []
  })
}

it('does not watch a key of the first interval that is hardly asked for', async () => {
  const told = await demands(1)
  expect(told.length).toBeGreaterThan(1)
  expect(Math.max(...told)).toBe(0)
})

it('watches one that is asked for often: it may come to be shared', async () => {
  const told = await demands(50)
  expect(told.at(-1)).toBeGreaterThan(0)
})
