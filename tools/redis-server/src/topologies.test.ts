import { Cluster, Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { freePort, makeCertificate, startCluster, startRedis, startSentinels, valkeyServer } from './index.ts'

test('a cluster moves a slot with its keys, takes in a server, and replaces a primary that vanished', async () => {
  await using cluster = await startCluster()
  const client = new Cluster(cluster.addresses, { slotsRefreshTimeout: 5000 })
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  await client.set('{a}key', 'value')
  const slot = Number(await client.cluster('KEYSLOT', 'a'))

  const added = await cluster.add()
  await cluster.move(slot, added)
  expect((await cluster.ownerOf(slot)).id).toBe(added.id)
  expect(await client.get('{a}key')).toBe('value')

  const other = await cluster.ownerOf((slot + 8000) % 16_384)
  const replica = await cluster.replicaOf(other)
  other.server.kill()
  const failover = async () => (await replica.admin.role())[0]
  await expect.poll(failover, { timeout: 20_000, interval: 50 }).toBe('master')
})

test('sentinels replace a primary that vanished', async () => {
  await using sentinels = await startSentinels()
  const before = await sentinels.primary()
  before.kill()
  const port = async () => (await sentinels.primary())?.port
  await expect.poll(port, { timeout: 20_000, interval: 50 }).not.toBe(before.port)
  const client = new Redis({ sentinels: [...sentinels.addresses], name: 'primary' })
  onTestFinished(() => client.disconnect())
  client.on('error', () => {})
  expect(await client.set('key', 'value')).toBe('OK')
})

test('a server speaks TLS with a certificate that clients can check', async () => {
  using certificate = makeCertificate()
  const port = await freePort()
  await using _server = await startRedis({ args: certificate.serverArguments(port) })
  const client = new Redis({ host: '127.0.0.1', port, tls: { ca: certificate.ca } })
  onTestFinished(() => client.disconnect())
  expect(await client.ping()).toBe('PONG')
})

test('Valkey 8, where it is to be had, starts like any other', async () => {
  const binary = valkeyServer()
  if (binary === undefined) return
  await using server = await startRedis({ binary })
  const client = new Redis(server.url)
  onTestFinished(() => client.disconnect())
  expect(await client.info('server')).toContain('valkey_version:8.')
})
