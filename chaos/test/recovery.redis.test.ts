import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createLimiter, fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { startCluster, startRedis } from '@spillway/redis-server'
import slotOf from 'cluster-key-slot'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { Network } from '../src/network.ts'
import { connect } from '../src/node/connect.ts'
import { ShiftedClock } from '../src/node/shifted-clock.ts'

/** A limit no test reaches, in a window that does not end while it runs. */
const limit = fixedWindow({ limit: 1000, window: '365d' })

test('a connection whose other side has vanished is given up, and another one made', async () => {
  await using redis = await startRedis()
  const network = await Network.start(redis.port)
  onTestFinished(() => network.close())
  const clock = new ShiftedClock()
  const store = redisStore(`redis://127.0.0.1:${network.port}`, { clock })
  onTestFinished(() => store.close())
  const limiter = createLimiter({ name: 'api', limit, store, clock, timeout: '10s' })
  expect((await limiter.check('key')).source).toBe('store')

  await network.break({ kind: 'half-open' })
  await network.mend()
  const unanswered = limiter.check('key')
  await turn()
  // Once the connection has been silent for long enough, the next check finds it dead.
  await expect
    .poll(
      async () => {
        clock.later += 6000
        return (await limiter.check('key')).source
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe('store')
  expect((await unanswered).source).toBe('outage')
})

test('a connection that vanishes while it is being made again is given up, and another one made', async () => {
  await using redis = await startRedis()
  const network = await Network.start(redis.port)
  onTestFinished(() => network.close())
  const clock = new ShiftedClock()
  const store = redisStore(`redis://127.0.0.1:${network.port}`, { clock })
  onTestFinished(() => store.close())
  const limiter = createLimiter({ name: 'api', limit, store, clock, timeout: '10s' })
  expect((await limiter.check('key')).source).toBe('store')

  await network.break({ kind: 'refuse' })
  await expect.poll(() => network.open, { timeout: 20_000, interval: 1 }).toBe(0)
  await network.break({ kind: 'hole' })
  await expect.poll(() => network.open, { timeout: 20_000, interval: 1 }).toBe(1)
  await network.break({ kind: 'half-open' })
  await network.mend()
  await expect
    .poll(
      async () => {
        clock.later += 6000
        return (await limiter.check('key')).source
      },
      { timeout: 15_000, interval: 20 },
    )
    .toBe('store')
})

test('a store that lost its data is noticed, also where the node that began it before begins it again', async () => {
  await using redis = await startRedis()
  const admin = new Redis(redis.url)
  onTestFinished(() => admin.disconnect())
  const store = redisStore(redis.url)
  onTestFinished(() => store.close())
  const limiter = createLimiter({ name: 'api', limit, mode: 'soft', store, timeout: '10s' })
  await limiter.check('held', { cost: 7 })
  await limiter.flush()
  await admin.flushall()
  await limiter.check('other')
  await limiter.flush()
  // What the flush's answer has told is sent by the next one.
  await limiter.check('other')
  await limiter.flush()
  const auditor = createLimiter({ name: 'api', limit, store, timeout: '10s' })
  expect((await auditor.peek('held')).remaining).toBe(992)
  await limiter.close()
})

test('a server that goes on from an older state of its data is given what it has lost', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-older-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const redis = await startRedis({ dir })
  const admin = new Redis(redis.url)
  const store = redisStore(redis.url)
  onTestFinished(() => store.close())
  const sync = { interval: '50ms' }
  const limiter = createLimiter({ name: 'api', limit, mode: 'soft', store, sync, timeout: '10s' })
  await limiter.check('held', { cost: 3 })
  await limiter.flush()
  await admin.save()
  await limiter.check('held', { cost: 4 })
  await limiter.check('new', { cost: 5 })
  await limiter.flush()
  admin.disconnect()
  redis.kill()
  await redis.exited
  await using again = await startRedis({ dir, port: redis.port })

  const auditing = redisStore(again.url)
  onTestFinished(() => auditing.close())
  const auditor = createLimiter({ name: 'api', limit, store: auditing, timeout: '10s' })
  const remaining = async () => [
    (await auditor.peek('held')).remaining,
    (await auditor.peek('new')).remaining,
  ]
  await expect.poll(remaining, { timeout: 20_000, interval: 20 }).toEqual([992, 994])
  await limiter.close()
})

test('a cluster that asks for a password, through each client', async () => {
  await using cluster = await startCluster({ password: 'hush' })
  for (const client of ['ioredis', 'ioredis5', 'iovalkey'] as const) {
    const target = await connect({ how: 'cluster', client, addresses: cluster.addresses, password: 'hush' })
    if (typeof target !== 'string') onTestFinished(() => target.disconnect())
    const store = redisStore(target)
    onTestFinished(() => store.close())
    const limiter = createLimiter({ name: client, limit, store, timeout: '10s', onOutage: 'throw' })
    expect((await limiter.check('key')).source).toBe('store')
  }
})

test('a server that is killed while a slot moves to it leaves no rejection unhandled', async () => {
  await using cluster = await startCluster()
  const slot = slotOf('api')
  const from = await cluster.ownerOf(slot)
  const to = await cluster.ownerOf((slot + 8000) % 16_384)
  await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
  await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
  const client = await connect({ how: 'cluster', client: 'ioredis', addresses: cluster.addresses })
  const store = redisStore(client, { shards: 1 })
  const other = createLimiter({ name: 'other', limit, store, timeout: '10s' })
  expect((await other.check('key')).source).toBe('store')
  to.server.kill('SIGSTOP')
  const limiter = createLimiter({ name: 'api', limit, store, timeout: '1s' })
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  onTestFinished(() => {
    process.off('unhandledRejection', note)
  })
  // The one that it is asked of knows nothing of the key, and names the one that hangs.
  expect((await limiter.check('key')).source).toBe('outage')
  to.server.kill()
  await to.server.exited
  expect((await limiter.check('key')).source).toBe('outage')
  await limiter.close()
  await other.close()
  await store.close()
  if (typeof client !== 'string') client.disconnect()
  expect(unhandled).toEqual([])
})
