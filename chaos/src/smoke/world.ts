import {
  freePort,
  makeCertificate,
  type RedisServer,
  startCluster,
  startSentinels,
  valkeyServer,
} from '@spillway/redis-server'
import { Redis } from 'ioredis'
import type { Target } from '../node/job.ts'
import { Server } from '../server.ts'
import { LEAST_RIGHTS } from './rights.ts'
import type { Setting } from './setting.ts'

const PASSWORD = 'hush'

/** The servers of a setting, to be broken whatever they are. */
export interface World extends AsyncDisposable {
  readonly target: Target
  /** Connections to all servers that take writes now. */
  primaries(): Promise<Redis[]>
  /** Stops all servers that take writes for this long (SIGSTOP). */
  hang(ms: number): Promise<void>
  /** Kills a server that takes writes, and waits until it is back or another has taken its place. */
  loseOne(): Promise<void>
  /** Whether acknowledged writes survive that. */
  readonly losesNothing: boolean
  /** What the servers say of each other, to explain a failure. */
  describe?(): Promise<string>
}

export function startWorld(setting: Setting): Promise<World> {
  if (setting.server === 'cluster') return clusterWorld(setting)
  if (setting.server === 'sentinel') return sentinelWorld(setting)
  return singleWorld(setting)
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function hang(servers: readonly { kill(signal: NodeJS.Signals): void }[], ms: number): Promise<void> {
  for (const server of servers) server.kill('SIGSTOP')
  await later(ms)
  for (const server of servers) server.kill('SIGCONT')
}

async function singleWorld({ server: kind, client, how, access }: Setting): Promise<World> {
  const certificate = access === 'tls' ? makeCertificate() : undefined
  const tlsPort = await freePort()
  const binary = kind === 'valkey' ? valkeyServer() : undefined
  const server = await Server.start({
    ...(binary && { binary }),
    ...(access === 'password' && { password: PASSWORD }),
    args: [
      ...(certificate?.serverArguments(tlsPort) ?? []),
      ...(access === 'acl' ? ['--user', 'spillway', 'on', `>${PASSWORD}`, '-@all', ...LEAST_RIGHTS] : []),
    ],
  })
  const credentials = access === 'password' ? `:${PASSWORD}@` : ''
  return {
    target: {
      ...{ how, client, url: `redis://${credentials}127.0.0.1:${server.port}` },
      addresses: [{ host: '127.0.0.1', port: certificate ? tlsPort : server.port }],
      ...((access === 'password' || access === 'acl') && { password: PASSWORD }),
      ...(access === 'acl' && { username: 'spillway' }),
      ...(certificate && { ca: certificate.ca }),
    },
    losesNothing: true,
    primaries: async () => [server.admin],
    hang: async (ms) => {
      server.hang()
      await later(ms)
      server.goOn()
    },
    loseOne: async () => {
      await server.kill()
      await later(300)
      await server.restart('kept')
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      certificate?.[Symbol.dispose]()
    },
  }
}

async function clusterWorld({ client, access }: Setting): Promise<World> {
  const password = access === 'password' ? PASSWORD : undefined
  const cluster = await startCluster(password === undefined ? {} : { password })
  const members = async () => {
    const owners = await Promise.all([0, 8000, 16_383].map((slot) => cluster.ownerOf(slot)))
    return [...new Set(owners)]
  }
  return {
    target: { how: 'cluster', client, addresses: cluster.addresses, ...(password && { password }) },
    losesNothing: false,
    primaries: async () => (await members()).map(({ admin }) => admin),
    hang: async (ms) =>
      hang(
        (await members()).map(({ server }) => server),
        ms,
      ),
    loseOne: async () => {
      const [lost] = (await members()) as [Awaited<ReturnType<typeof cluster.ownerOf>>]
      const replica = await cluster.replicaOf(lost)
      lost.server.kill()
      while ((await replica.admin.role())[0] !== 'master') await later(50)
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

async function sentinelWorld({ client }: Setting): Promise<World> {
  const sentinels = await startSentinels()
  const admins = new Map<RedisServer, Redis>()
  const admin = async () => {
    const primary = await sentinels.primary()
    let redis = admins.get(primary)
    if (redis === undefined) {
      redis = new Redis(primary.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
      redis.on('error', () => {})
      admins.set(primary, redis)
    }
    return redis
  }
  return {
    target: { how: 'sentinel', client, addresses: sentinels.addresses },
    losesNothing: false,
    primaries: async () => [await admin()],
    hang: async (ms) => hang([await sentinels.primary()], ms),
    describe: () => sentinels.describe(),
    loseOne: async () => {
      const before = await sentinels.primary()
      before.kill()
      while ((await sentinels.primary()) === before) await later(50)
    },
    [Symbol.asyncDispose]: async () => {
      for (const redis of admins.values()) redis.disconnect()
      await sentinels[Symbol.asyncDispose]()
    },
  }
}
