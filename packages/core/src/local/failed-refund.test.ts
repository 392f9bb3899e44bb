import { expect, it } from 'vitest'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { StoreError } from '../errors.ts'
import { createLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import type { Operation, Store, Table } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const limit = fixedWindow({ limit: 100, window: '1h' })

function demandOf(operation: Operation): number {
  const ask = operation[0] === 'read' ? operation[2] : undefined
  return ask?.[0] ?? 0
}

/** The demand that a leased node first tells a store of that was away, with a refund meanwhile or without. */
async function told(refunds: boolean, plan: boolean): Promise<number> {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const operations: Operation[] = []
  let away = true
  const store: Store = {
    open: (name, its) => {
      const table = memory.open(name, its)
      const exchange: Table['exchange'] = async (request) => {
        if (away) throw new StoreError('ERR_STORE_REPLY', 'it is away')
        operations.push(...request.operations)
        return table.exchange(request)
      }
      return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
    },
    close: () => memory.close(),
  }
  const other = createLimiter({ name: 'api', limit, mode: 'leased', store: memory, clock, random: () => 0.5 })
  await other.check('a')
  const node = createLimiter({ name: 'api', limit, mode: 'leased', store, clock, random: () => 0.5 })
  const chosen = plan ? { limit: fixedWindow({ limit: 90, window: '1h' }) } : {}
  for (let turn = 0; turn < 20; turn++) {
    const check = node.check('a', { cost: 2, ...chosen })
    await clock.advance(10)
    expect(await check).toMatchObject({ allowed: false, reason: 'outage' })
  }
  if (refunds) expect(await node.refund('a', 30, chosen)).toBe(false)
  away = false
  for (let turn = 0; turn < 20; turn++) {
    await Promise.all([node.check('a', { cost: 2, ...chosen }), clock.advance(400)])
  }
  await Promise.all([node.close(), other.close(), clock.advance(1000)])
  return demandOf(operations[0] as Operation)
}

it.each([
  ['the limit', false],
  ['a plan', true],
])('by %s: a refund that fails takes nothing off the demand', async (_, plan) => {
  const demand = await told(false, plan)
  expect(demand).toBeGreaterThan(1000)
  // It may have put off when the store is asked again.
  expect((await told(true, plan)) / demand).toBeGreaterThan(0.8)
})
