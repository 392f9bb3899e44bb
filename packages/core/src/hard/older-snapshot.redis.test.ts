import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '@spillway/redis-server'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { createLimiter, fixedWindow, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import { redisStore } from '../redis.ts'

it.each([
  ['bucket', tokenBucket({ capacity: 100, refill: 1, per: '10m' })],
  ['fixed window', fixedWindow({ limit: 100, window: '365d' })],
  ['sliding window', slidingWindow({ limit: 100, window: '365d' })],
  ['sliding log', slidingLog({ limit: 100, window: '365d' })],
] as const)('of a %s nothing goes back that a server with an older snapshot never had', async (_, limit) => {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-snapshot-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const before = await startRedis({ dir })
  const store = redisStore(before.url)
  const limiter = createLimiter({ name: 'api', limit, store, timeout: '5s' })
  expect((await limiter.check('another')).source).toBe('store')
  const admin = new Redis(before.url)
  await admin.call('SAVE')
  admin.disconnect()
  const call = await limiter.reserve('key', 50, { settleAfter: '1h' })
  expect(call.allowed).toBe(true)
  before.kill()
  await before.exited
  await using after = await startRedis({ dir, port: before.port })
  const others = redisStore(after.url)
  const other = createLimiter({ name: 'api', limit, store: others, timeout: '5s' })
  // What was lost is lost: others may take all.
  expect((await other.check('key', { cost: 100 })).allowed).toBe(true)
  await expect.poll(async () => (await limiter.peek('key')).source, { timeout: 10_000 }).toBe('store')
  await call.release()
  expect((await other.check('key')).allowed).toBe(false)
  await Promise.all([limiter.close(), other.close()])
  await Promise.all([store.close(), others.close()])
})
