import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { byAddress, byUser, firstOf } from '@spillway/http'
import { expect, onTestFinished, test, vi } from 'vitest'
import { hangUpOnce } from './hang-up.ts'
import { SERVERS } from './servers/index.ts'

test.each(Object.entries(SERVERS))(
  '%s: a client that hung up while a user was looked up is counted by its own address',
  async (_, serve) => {
    const limiter = createLimiter({
      name: 'api',
      mode: 'soft',
      clock: new ManualClock(0),
      limit: fixedWindow({ limit: 9, window: '1m' }),
    })
    const lookups: (() => void)[] = []
    const user = byUser(() => new Promise<undefined>((resolve) => lookups.push(() => resolve(undefined))))
    const served = await serve({ limiter, key: firstOf(user, byAddress()) })
    onTestFinished(() => served.close())
    await hangUpOnce(served, () => lookups.length === 1)
    lookups[0]!()
    await vi.waitUntil(() => limiter.stats().admitted === 1)
    expect((await limiter.peek('address:127.0.0.1')).remaining).toBe(9 - 1 - 1)
  },
)
