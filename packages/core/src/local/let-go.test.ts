import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { slowStore } from '../../test/slow-store.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import { createLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import type { Store } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const scopes = {
  user: tokenBucket({ capacity: 100, refill: 100, per: '100s' }),
  address: fixedWindow({ limit: 1, window: '10h' }),
}

/** A way to a store on which commands about a key may be held up. */
function slowKeys(far: Store) {
  let slow: string | undefined
  let opened = Promise.resolve()
  const store = farStore(far, async (table, request) => {
    if (request.operations.some(([, key]) => key === slow)) await opened
    return table.exchange(request)
  })
  return {
    store,
    /** Returns how to let them go on. */
    slow(key: string): () => void {
      let open = () => {}
      opened = new Promise((resolve) => {
        open = resolve
      })
      slow = key
      return () => {
        slow = undefined
        open()
      }
    },
  }
}

it.each(['soft', 'leased'] as const)(
  'what was only held beside a reservation, and let go, has not drained in its place (%s)',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const { store, slow } = slowKeys(memory)
    const node = createLimiter({
      ...{ name: 'api', scopes, mode, store, clock, timeout: '10s', random: () => 0.5 },
    })
    const other = createLimiter({ name: 'api', scopes, store: memory, clock })
    await other.check({ address: 'full' })
    await node.check({ user: 'x' })
    await node.flush()
    await clock.advance(200_000)
    const open = slow('full')
    const refused = Array.from({ length: 50 }, () => node.check({ user: 'x', address: 'full' }))
    await clock.advance(10)
    // They hold 50 of the user until it is known that the address refuses them.
    const call = await node.reserve({ user: 'x' }, 40, { settleAfter: '1h' })
    expect(call.allowed).toBe(true)
    open()
    await clock.advance(10)
    expect((await Promise.all(refused)).map(({ allowed }) => allowed)).not.toContain(true)
    await node.flush()
    // The 40 have drained.
    await clock.advance(50_000)
    expect((await node.check({ user: 'x' }, { cost: 99 })).allowed).toBe(true)
    await node.flush()
    await call.release()
    await node.flush()
    expect((await node.peek({ user: 'x' })).remaining).toBeLessThanOrEqual(1)
    await Promise.all([node.close(), other.close()])
  },
)

it.each(['soft', 'leased'] as const)(
  'nor has the part of a token that had drained, of what else was beside (%s)',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const { store, slow } = slowKeys(memory)
    const fast = { user: tokenBucket({ capacity: 100, refill: 100, per: '10s' }), address: scopes.address }
    const options = { name: 'api', scopes: fast, clock, random: () => 0.5 }
    const node = createLimiter({ ...options, mode, store, timeout: '10s' })
    const other = createLimiter({ ...options, store: memory })
    await other.check({ address: 'full' })
    expect((await node.check({ user: 'x' }, { cost: 8 })).allowed).toBe(true)
    await node.flush()
    await clock.advance(90)
    const open = slow('full')
    const refused = Array.from({ length: 10 }, () => node.check({ user: 'x', address: 'full' }))
    await clock.advance(0)
    const call = await node.reserve({ user: 'x' }, 5, { settleAfter: '1h' })
    expect(call.allowed).toBe(true)
    open()
    await clock.advance(0)
    expect((await Promise.all(refused)).map(({ allowed }) => allowed)).not.toContain(true)
    await node.flush()
    await clock.advance(1200)
    await node.flush()
    // 0.1 is in use.
    const since = clock.monotonic()
    let taken = 0
    while ((await other.check({ user: 'x' })).allowed) taken++
    await call.release()
    while ((await other.check({ user: 'x' })).allowed) taken++
    await clock.advance(15)
    while ((await other.check({ user: 'x' })).allowed) taken++
    expect(taken).toBeLessThanOrEqual(100 + (clock.monotonic() - since) / 100)
    await Promise.all([node.close(), other.close()])
  },
)

it.each([
  ['one limit', 1, {}],
  ['two limits', 2, {}],
  ['one limit with a reserve', 1, { spike: { extra: 5000, per: '1h' } as const }],
])('leased: what a check held for itself, and took, was not let go: of %s', async (_, limits, more) => {
  const clock = new ManualClock(1_000_000)
  // One that answers behind the check: what is asked meanwhile waits.
  const memory = memoryStore({ clock })
  const store = slowStore(clock, () => 0, undefined, memory)
  const user = tokenBucket({ capacity: 1000, refill: 1000, per: '100s' })
  const limit = [user, fixedWindow({ limit: 1_000_000, window: '1h' })].slice(0, limits)
  const options = { name: 'api', limit, clock, random: () => 0.5, ...more }
  const node = createLimiter({ ...options, mode: 'leased', store, timeout: '5s' })
  const other = createLimiter({ ...options, store: memory })
  expect((await other.check('x', { cost: 500 })).allowed).toBe(true)
  // The key is new to the node: it waits for the store.
  const call = await node.reserve('x', 300, { settleAfter: '1h' })
  expect(call.allowed).toBe(true)
  await node.flush()
  // 400 drain, of the 500 first.
  await clock.advance(40_000)
  const before = (await other.peek('x')).remaining
  expect(await call.release()).toBe(true)
  expect((await other.peek('x')).remaining - before).toBe(300)
  await Promise.all([node.close(), other.close(), clock.advance(1000)])
})
