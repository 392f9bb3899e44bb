import { expect, it } from 'vitest'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import { createLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import type { Store, Table } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const scopes = {
  user: tokenBucket({ capacity: 100, refill: 100, per: '100s' }),
  address: fixedWindow({ limit: 1, window: '10h' }),
}

it.each(['soft', 'leased'] as const)(
  'what was only held beside a reservation, and let go, has not drained in its place (%s)',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    let slow: string | undefined
    let open = () => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    const store: Store = {
      open: (name, its) => {
        const table = memory.open(name, its)
        const exchange: Table['exchange'] = async (request) => {
          if (request.operations.some(([, key]) => key === slow)) await opened
          return table.exchange(request)
        }
        return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
      },
      close: () => memory.close(),
    }
    const node = createLimiter({
      ...{ name: 'api', scopes, mode, store, clock, timeout: '10s', random: () => 0.5 },
    })
    const other = createLimiter({ name: 'api', scopes, store: memory, clock })
    await other.check({ address: 'full' })
    await node.check({ user: 'x' })
    await node.flush()
    await clock.advance(200_000)
    slow = 'full'
    const refused = Array.from({ length: 50 }, () => node.check({ user: 'x', address: 'full' }))
    await clock.advance(10)
    // They hold 50 of the user until it is known that the address refuses them.
    const call = await node.reserve({ user: 'x' }, 40, { settleAfter: '1h' })
    expect(call.allowed).toBe(true)
    open()
    slow = undefined
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
