import { Redis } from 'ioredis'
import { afterAll, expect, inject, it } from 'vitest'
import { createLimiter, fixedWindow } from '../../index.ts'
import { redisStore } from './redis-store.ts'

const url = inject('redisUrl')
const admin = new Redis(url)

afterAll(() => admin.quit())

it.each(['hard', 'soft', 'leased'] as const)(
  '%s: a user of Redis that is kept from what is dangerous may be limited by',
  async (mode) => {
    await admin.call('ACL', 'SETUSER', 'few-rights', 'on', '>pw', '~*', '&*', '+@all', '-@dangerous')
    const own = new URL(url)
    own.username = 'few-rights'
    own.password = 'pw'
    const client = new Redis(own.href, { enableReadyCheck: false })
    const store = redisStore(client, { prefix: `few-rights-${mode}` })
    const limit = fixedWindow({ limit: 10, window: '365d' })
    const limiter = createLimiter({ name: 'api', limit, store, mode, timeout: '5s' })
    const call = await limiter.reserve('key', 5)
    expect(call).toMatchObject({ allowed: true })
    expect(await call.release()).toBe(true)
    expect((await limiter.peek('key')).remaining).toBe(9)
    await limiter.close()
    await store.close()
    client.disconnect()
  },
)
