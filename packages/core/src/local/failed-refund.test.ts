import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import { StoreError } from '../errors.ts'
import { createLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import type { Operation, Store } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const limit = fixedWindow({ limit: 100, window: '1h' })

function demandOf(operation: Operation): number {
  const ask = operation[0] === 'read' ? operation[2] : undefined
  return ask?.[0] ?? 0
}

/** A node's way to a store, as long as there is one, and what came by it. */
function wayTo(far: Store) {
  const way = { isThere: true, operations: [] as Operation[] }
  const store = farStore(far, async (table, request) => {
    if (!way.isThere) throw new StoreError('ERR_STORE_REPLY', 'it is away')
    way.operations.push(...request.operations)
    return table.exchange(request)
  })
  return { way, store }
}

/** The demand that a leased node first tells a store of that was away, with a refund meanwhile or without. */
async function told(refunds: boolean, plan: boolean): Promise<number> {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const { way, store } = wayTo(memory)
  way.isThere = false
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
  way.isThere = true
  for (let turn = 0; turn < 20; turn++) {
    await Promise.all([node.check('a', { cost: 2, ...chosen }), clock.advance(400)])
  }
  await Promise.all([node.close(), other.close(), clock.advance(1000)])
  return demandOf(way.operations[0] as Operation)
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

it.each(['soft', 'leased'] as const)(
  'what a reservation gives back of a bucket with the store away stays counted, and is not settled when it has drained (%s)',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const { way, store } = wayTo(memory)
    const bucket = tokenBucket({ capacity: 100, refill: 100, per: '100s' })
    const node = createLimiter({ name: 'api', limit: bucket, mode, store, clock, random: () => 0.5 })
    const other = createLimiter({ name: 'api', limit: bucket, store: memory, clock })
    const call = await node.reserve('a', 50, { settleAfter: '1h' })
    await node.flush()
    await clock.advance(1000)
    way.isThere = false
    expect(await call.release()).toBe(false)
    await clock.advance(48_000)
    // 1 is left of the 50, but for what is booked.
    let taken = 0
    while ((await other.check('a')).allowed) taken++
    expect(taken).toBeGreaterThan(40)
    way.isThere = true
    await clock.advance(6000)
    await node.flush()
    expect((await other.peek('a')).remaining).toBeLessThanOrEqual(100 - (50 + taken - 55) - 1)
    await Promise.all([node.close(), other.close()])
  },
)
