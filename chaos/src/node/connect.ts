import type { RedisClient } from '@spillway/core/redis'
import type { Target } from './job.ts'

/** What the three packages have in common. */
interface Client extends RedisClient {
  on(event: 'error', listener: () => void): unknown
}
interface Package {
  readonly Redis: new (options: object) => Client
  readonly Cluster: new (nodes: object[], options: object) => Client
}

const packages: Record<Target['client'], () => Promise<Package>> = {
  ioredis: async () => (await import('ioredis')) as unknown as Package,
  ioredis5: async () => (await import('ioredis5')) as unknown as Package,
  iovalkey: async () => (await import('iovalkey')) as unknown as Package,
}

/** What to give to `redisStore`: a URL, or a client as a service would make it. */
export async function connect(target: Target): Promise<string | RedisClient> {
  if (target.how === 'url') return target.url as string
  const { Redis, Cluster } = await packages[target.client]()
  const { username, password, ca } = target
  const addresses = [...(target.addresses ?? [])]
  const access = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { tls: { ca } }),
  }
  const client =
    target.how === 'cluster'
      ? new Cluster(addresses, { redisOptions: access })
      : target.how === 'sentinel'
        ? new Redis({ sentinels: addresses, name: 'primary', ...access })
        : new Redis({ ...addresses[0], ...access })
  client.on('error', () => {})
  return client
}
