import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { takeAll } from '../../test/take-all.ts'
import { createLimiter, leakyBucket, memoryStore, StoreError, slidingLog, tokenBucket } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMITS = [
  slidingLog({ limit: 10, window: '10s' }),
  tokenBucket({ capacity: 10, refill: 10, per: '10s' }),
  leakyBucket({ capacity: 10, leak: 10, per: '10s' }),
]

it.each(
  (['leased', 'soft'] as const).flatMap((mode) =>
    LIMITS.map((limit) => [mode, limit.algorithm, limit] as const),
  ),
)(
  '%s, %s: what is given back while the store is away is not taken of others, once what it was given back of counts no more',
  async (mode, algorithm, limit) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const way = { isThere: true }
    const store = farStore(memory, async (table, request) => {
      if (!way.isThere) throw new StoreError('ERR_STORE_AWAY', 'it is away')
      return table.exchange(request)
    })
    const options = { name: 'api', limit, clock, random: () => 0.5 } as const
    const node = createLimiter({ ...options, mode, store })
    const other = createLimiter({ ...options, store: memory })
    const isLog = algorithm === 'sliding-log'
    if (isLog) await clock.advance(9000)
    expect((await node.check('key', { cost: 5 })).allowed).toBe(true)
    await node.flush()
    if (isLog) await clock.advance(9000)
    way.isThere = false
    expect(await node.refund('key', 5)).toBe(false)
    // The 5 count no more.
    await clock.advance(isLog ? 1500 : 6000)
    const taken = await takeAll(other, 'key')
    const began = clock.monotonic()
    way.isThere = true
    await clock.advance(3000)
    await node.flush()
    const rest = await takeAll(other, 'key')
    const freed = isLog ? 0 : Math.floor((clock.monotonic() - began) / 1000)
    expect(taken + rest).toBeLessThanOrEqual(10 + freed)
    await Promise.all([node.close(), other.close()])
  },
)
