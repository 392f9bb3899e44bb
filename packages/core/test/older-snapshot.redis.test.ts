import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '@spillway/redis-server'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { createLimiter } from '../src/index.ts'
import { redisStore } from '../src/redis.ts'
import { LASTING_LIMITS } from './lasting-limits.ts'

it.each(
  (['hard', 'leased'] as const).flatMap((mode) =>
    Object.entries(LASTING_LIMITS).map(([name, limit]) => [mode, name, limit] as const),
  ),
)('%s: of a %s nothing goes back that a server with an older snapshot never had', async (mode, _, limit) => {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-snapshot-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const before = await startRedis({ dir })
  const store = redisStore(before.url)
  const sync = mode === 'hard' ? undefined : { interval: '1h' }
  const limiter = createLimiter({ name: 'api', limit, mode, sync, store, timeout: '5s' })
  const first = await limiter.check('another')
  expect(first.allowed).toBe(true)
  if (mode === 'hard') expect(first.source).toBe('store')
  await limiter.flush()
  const admin = new Redis(before.url)
  await admin.call('SAVE')
  admin.disconnect()
  const call = await limiter.reserve('key', 50, { settleAfter: '1h' })
  expect(call.allowed).toBe(true)
  await limiter.flush()
  before.kill()
  await before.exited
  await using after = await startRedis({ dir, port: before.port })
  const others = redisStore(after.url)
  const other = createLimiter({ name: 'api', limit, store: others, timeout: '5s' })
  // What was lost is lost: others may take all.
  let taken = 0
  while ((await other.check('key')).allowed) taken++
  // The node's connection is there again: a hard limiter tells so itself.
  const probe = mode === 'hard' ? limiter : createLimiter({ name: 'probe', limit, store, timeout: '5s' })
  await expect.poll(async () => (await probe.peek('key')).source, { timeout: 10_000 }).toBe('store')
  expect(taken).toBe(100)
  await call.release()
  while ((await other.check('key')).allowed) taken++
  expect(taken).toBe(100)
  await Promise.all([limiter.close(), other.close(), probe.close()])
  await Promise.all([store.close(), others.close()])
})
