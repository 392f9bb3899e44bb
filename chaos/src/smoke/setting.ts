import { valkeyServer } from '@spillway/redis-server'
import type { Target } from '../node/job.ts'

/** A kind of server, a client and a version of Node to run the smoke list with. */
export interface Setting {
  readonly name: string
  readonly server: 'redis' | 'valkey' | 'cluster' | 'sentinel'
  readonly client: Target['client']
  readonly how: Target['how']
  /** The Node to run the nodes on; default: this one. */
  readonly node?: 20 | 22 | 24 | 26
  readonly access?: 'tls' | 'password' | 'acl'
}

const CLIENTS = ['ioredis', 'ioredis5', 'iovalkey'] as const

function on(server: Setting['server'], how: Setting['how']): Setting[] {
  return CLIENTS.map((client) => ({ name: `${server} ${client}`, server, client, how }))
}

/** Every server with every client; every way in, and every Node, once. */
export const settings: readonly Setting[] = [
  ...on('redis', 'redis'),
  ...on('cluster', 'cluster'),
  ...on('sentinel', 'sentinel'),
  ...(valkeyServer() === undefined ? [] : on('valkey', 'redis')),
  { name: 'redis URL, ioredis', server: 'redis', client: 'ioredis', how: 'url' },
  { name: 'redis URL, ioredis5', server: 'redis', client: 'ioredis5', how: 'url' },
  { name: 'redis URL, password', server: 'redis', client: 'ioredis', how: 'url', access: 'password' },
  { name: 'redis TLS', server: 'redis', client: 'ioredis', how: 'redis', access: 'tls' },
  { name: 'redis TLS, ioredis5', server: 'redis', client: 'ioredis5', how: 'redis', access: 'tls' },
  { name: 'redis ACL, least rights', server: 'redis', client: 'ioredis', how: 'redis', access: 'acl' },
  {
    name: 'cluster ioredis5, password',
    server: 'cluster',
    client: 'ioredis5',
    how: 'cluster',
    access: 'password',
  },
  { name: 'redis, Node 20', server: 'redis', client: 'ioredis', how: 'redis', node: 20 },
  { name: 'redis, Node 22', server: 'redis', client: 'ioredis', how: 'redis', node: 22 },
  { name: 'redis, Node 24', server: 'redis', client: 'ioredis', how: 'redis', node: 24 },
  { name: 'redis, Node 26', server: 'redis', client: 'ioredis', how: 'redis', node: 26 },
]
