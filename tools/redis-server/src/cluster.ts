import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { type RedisOptions, type RedisServer, startRedis } from './start.ts'

const SLOTS = 16_384
const PATIENCE_MS = 30_000

/** A server of a cluster, and a connection to rule it by. */
export interface ClusterMember {
  readonly server: RedisServer
  readonly admin: Redis
  readonly id: string
}

/** A Redis Cluster of our own: three primaries, each with a replica. */
export interface RedisCluster extends AsyncDisposable {
  /** Of all members, as a client is given them. */
  readonly addresses: { host: string; port: number }[]
  readonly members: readonly ClusterMember[]
  /** The member that serves a slot now. */
  ownerOf(slot: number): Promise<ClusterMember>
  /** A replica of a member. */
  replicaOf(primary: ClusterMember): Promise<ClusterMember>
  /** Another primary, without slots yet. */
  add(): Promise<ClusterMember>
  /**
   * Moves a slot with its keys while traffic runs: clients meet ASK, then MOVED. What they have made at the new place
   * meanwhile is replaced by what was at the old one, as by `redis-cli --cluster reshard --cluster-replace`.
   */
  move(slot: number, to: ClusterMember): Promise<void>
}

/** Starts three primaries with a replica each; a primary that vanishes is replaced after a second. */
export async function startCluster(
  options: Pick<RedisOptions, 'args' | 'binary' | 'password'> = {},
): Promise<RedisCluster> {
  const members: ClusterMember[] = []
  const start = async () => {
    const busPort = await freePort()
    const { password } = options
    const server = await startRedis({
      ...options,
      args: [
        ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '1000'],
        ...(password === undefined ? [] : ['--masterauth', password]),
        ...(options.args ?? []),
      ],
    })
    const admin = new Redis(server.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
    admin.on('error', () => {})
    const member = { server, admin, id: String(await admin.cluster('MYID')), busPort }
    members.push(member)
    return member
  }
  const dispose = async () => {
    for (const { admin } of members) admin.disconnect()
    await Promise.all(members.map(({ server }) => server.stop()))
  }
  const meet = async (
    member: Awaited<ReturnType<typeof start>>,
    known: Awaited<ReturnType<typeof start>>,
  ) => {
    await member.admin.call('CLUSTER', 'MEET', '127.0.0.1', known.server.port, known.busPort)
  }
  const until = async (what: string, holds: () => Promise<boolean>) => {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`the cluster did not come to this: ${what}`)
      await delay(20)
    }
  }
  const isWhole = async ({ admin }: ClusterMember) =>
    String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok')
  const alive = () => members.filter(({ admin }) => admin.status === 'ready')
  const replicaOf = async (primary: ClusterMember) => {
    const replicas = (await primary.admin.call('CLUSTER', 'REPLICAS', primary.id)) as string[]
    const ids = replicas.map((line) => line.split(' ')[0])
    const replica = alive().find(({ id }) => ids.includes(id))
    if (replica === undefined) throw new Error(`the primary on port ${primary.server.port} has no replica`)
    return replica
  }
  const ownerOf = async (slot: number) => {
    for (const member of alive()) {
      const ranges = (await member.admin.call('CLUSTER', 'SLOTS')) as [
        number,
        number,
        [string, number, string],
      ][]
      const id = ranges.find(([first, last]) => first <= slot && slot <= last)?.[2][2]
      const owner = alive().find((other) => other.id === id)
      if (owner !== undefined) return owner
    }
    throw new Error(`nobody serves slot ${slot}`)
  }

  try {
    const started = await Promise.all(Array.from({ length: 6 }, start))
    const [first, ...others] = started as [(typeof started)[0], ...typeof started]
    for (const [place, { admin }] of started.slice(0, 3).entries()) {
      const from = Math.ceil((place * SLOTS) / 3)
      const to = Math.ceil(((place + 1) * SLOTS) / 3) - 1
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
      await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', place + 1)
    }
    for (const other of others) await meet(other, first)
    const knows = async ({ admin }: ClusterMember, count: number) => {
      const nodes = String(await admin.call('CLUSTER', 'NODES'))
      return nodes.trim().split('\n').length === count && !nodes.includes('handshake')
    }
    await until('all know each other', async () =>
      (await Promise.all(started.map((member) => knows(member, 6)))).every(Boolean),
    )
    for (const [place, { admin }] of started.slice(3).entries())
      await admin.call('CLUSTER', 'REPLICATE', (started[place] as (typeof started)[0]).id)
    await until('it is whole', async () => {
      const states = await Promise.all(started.map(isWhole))
      const replicas = await Promise.all(
        started.slice(3).map(async ({ admin }) => String(await admin.info('replication'))),
      )
      return states.every(Boolean) && replicas.every((info) => info.includes('master_link_status:up'))
    })

    return {
      addresses: started.map(({ server }) => ({ host: '127.0.0.1', port: server.port })),
      members,
      ownerOf,
      replicaOf,
      add: async () => {
        const member = await start()
        await meet(member, first)
        await until('all know the new one, and it them', async () => {
          const known = await Promise.all(alive().map((other) => knows(other, members.length)))
          return known.every(Boolean) && (await isWhole(member))
        })
        return member
      },
      move: async (slot, to) => {
        const from = await ownerOf(slot)
        if (from.id === to.id) return
        await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
        await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
        for (;;) {
          const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 10)) as string[]
          if (keys.length === 0) break
          const auth = options.password === undefined ? [] : ['AUTH', options.password]
          await from.admin.call(
            'MIGRATE',
            '127.0.0.1',
            to.server.port,
            '',
            0,
            5000,
            'REPLACE',
            ...auth,
            'KEYS',
            ...keys,
          )
          await delay(20)
        }
        for (const { admin } of [to, from]) await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
        for (const { admin } of alive())
          await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id).catch(() => {})
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}
