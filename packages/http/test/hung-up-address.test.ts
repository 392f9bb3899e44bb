import { once } from 'node:events'
import { connect } from 'node:net'
import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { byAddress, byUser, firstOf } from '@spillway/http'
import { expect, onTestFinished, test, vi } from 'vitest'
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
    const closed = once(served.server, 'connection').then(([socket]) => once(socket, 'close'))
    const client = connect(Number(new URL(served.url).port), '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await vi.waitUntil(() => lookups.length === 1)
    client.destroy()
    await closed
    lookups[0]!()
    await vi.waitUntil(() => limiter.stats().admitted === 1)
    expect((await limiter.peek('address:127.0.0.1')).remaining).toBe(9 - 1 - 1)
  },
)
