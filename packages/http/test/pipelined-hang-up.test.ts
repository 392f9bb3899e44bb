import { once } from 'node:events'
import { connect } from 'node:net'
import { createLimiter, leakyBucket } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { globally } from '@spillway/http'
import { expect, onTestFinished, test, vi } from 'vitest'
import { SERVERS } from './servers/index.ts'

test.each(Object.entries(SERVERS))(
  '%s: pipelined requests free their places when the client hangs up',
  async (_, serve) => {
    const clock = new ManualClock(0)
    const limit = leakyBucket({ capacity: 30, leak: 1, per: '1s' })
    const limiter = createLimiter({ name: 'api', mode: 'soft', clock, limit })
    const served = await serve({ limiter, clock, key: globally() })
    onTestFinished(() => served.close())
    const warned = vi.fn()
    process.on('warning', warned)
    onTestFinished(() => void process.off('warning', warned))
    const remaining = async () => (await limiter.peek('global')).remaining

    const client = connect(Number(new URL(served.url).port), '127.0.0.1')
    await once(client, 'connect')
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20))
    await vi.waitUntil(async () => (await remaining()) === 30 - 20 - 1, { timeout: 20_000 })
    client.destroy()
    await vi.waitUntil(async () => (await remaining()) === 30 - 1 - 1, { timeout: 5_000 })
    await clock.advance(20_000)
    expect(served.handled()).toBe(1)
    expect(warned).not.toHaveBeenCalled()
  },
)
