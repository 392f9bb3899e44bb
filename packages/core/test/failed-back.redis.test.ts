import { startRedis } from '@spillway/redis-server'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { createLimiter } from '../src/index.ts'
import { redisStore } from '../src/redis.ts'
import { LASTING_LIMITS } from './lasting-limits.ts'

/** A replica need not wait for others that may come. */
const AT_ONCE = ['--repl-diskless-sync-delay', '0']

it.each(
  (['hard', 'leased'] as const).flatMap((mode) =>
    Object.entries(LASTING_LIMITS).map(([name, limit]) => [mode, name, limit] as const),
  ),
)(
  '%s: of a %s nothing goes back that a server lost by two failovers, to another one and back',
  async (mode, _, limit) => {
    await using one = await startRedis({ args: AT_ONCE })
    await using two = await startRedis({ args: AT_ONCE })
    const [first, second] = [new Redis(one.url), new Redis(two.url)]
    onTestFinished(() => {
      for (const admin of [first, second]) admin.disconnect()
    })
    const follow = async (replica: Redis, port: number) => {
      await replica.replicaof('127.0.0.1', port)
      await expect
        .poll(() => replica.info('replication'), { timeout: 20_000 })
        .toContain('master_link_status:up')
    }
    const store = redisStore(one.url)
    const limiter = createLimiter({
      name: 'api',
      limit,
      mode,
      sync: { interval: '1h' },
      store,
      timeout: '5s',
    })
    await follow(second, one.port)
    expect((await limiter.check('another')).allowed).toBe(true)
    await limiter.flush()
    // The other one takes over: what the first one acknowledges from here on it has not heard of.
    await second.replicaof('NO', 'ONE')
    const call = await limiter.reserve('key', 50, { settleAfter: '1h' })
    expect(call.allowed).toBe(true)
    await limiter.flush()
    await follow(first, two.port)
    await first.replicaof('NO', 'ONE')
    const others = redisStore(one.url)
    const other = createLimiter({ name: 'api', limit, store: others, timeout: '5s' })
    let taken = 0
    while ((await other.check('key')).allowed) taken++
    expect(taken).toBe(100)
    await call.release()
    while ((await other.check('key')).allowed) taken++
    expect(taken).toBe(100)
    await Promise.all([limiter.close(), other.close()])
    await Promise.all([store.close(), others.close()])
  },
)
