import { type ClusterMember, type RedisCluster, startCluster } from '@spillway/redis-server'
import slotOf from 'cluster-key-slot'
import type { Cast, Scene } from '../fault.ts'
import { limiterName, type Target, type Track } from '../node/job.ts'
import type { Program } from '../program.ts'
import { type Evidence, underLoad } from '../under-load.ts'

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A fault of a Redis Cluster. All limiters are on the same primary at first. */
export interface ClusterFault extends Omit<Scene, 'run'> {
  run(cluster: RedisCluster, slots: readonly number[], cast: Cast): Promise<void>
}

export const clusterFaults: readonly ClusterFault[] = [
  {
    name: 'cluster-failover',
    title: 'Cluster: a primary is killed, and its replica takes over',
    ...{ keeps: false, outage: 'flaky' },
    async run(cluster, [slot]) {
      const primary = await cluster.ownerOf(slot as number)
      const replica = await cluster.replicaOf(primary)
      primary.server.kill()
      await becomesPrimary(replica)
    },
  },
  {
    name: 'cluster-handover',
    title: 'Cluster: a primary hands over to its replica (CLUSTER FAILOVER)',
    ...{ keeps: true, outage: 'flaky' },
    async run(cluster, [slot]) {
      const replica = await cluster.replicaOf(await cluster.ownerOf(slot as number))
      await replica.admin.call('CLUSTER', 'FAILOVER')
      await becomesPrimary(replica)
      await wait(1000)
    },
  },
  {
    name: 'cluster-slots-move',
    title: 'Cluster: slots move to another primary under load (ASK, MOVED)',
    ...{ keeps: true, outage: 'flaky' },
    async run(cluster, slots) {
      const from = await cluster.ownerOf(slots[0] as number)
      const owners = await Promise.all([0, 8000, 16_383].map((slot) => cluster.ownerOf(slot)))
      const to = owners.find(({ id }) => id !== from.id) as (typeof owners)[0]
      for (const slot of slots) await cluster.move(slot, to)
      await wait(1000)
    },
  },
  {
    name: 'cluster-node-added',
    title: 'Cluster: a primary is added, and takes over slots in use',
    ...{ keeps: true, outage: 'flaky' },
    async run(cluster, slots) {
      const added = await cluster.add()
      for (const slot of slots) await cluster.move(slot, added)
      await wait(1000)
    },
  },
]

async function becomesPrimary({ admin, server }: ClusterMember): Promise<void> {
  for (const deadline = performance.now() + 30_000; performance.now() < deadline; await wait(20))
    if ((await admin.role())[0] === 'master') return
  throw new Error(`the replica on port ${server.port} did not take over`)
}

/** How many slots a limiter's keys are spread over on a Cluster; see `shards` of `redisStore`. */
const SHARDS = 16

function slotsOf(name: string): number[] {
  return Array.from({ length: SHARDS }, (_, shard) => slotOf(shard === 0 ? name : `${name}#${shard}`))
}

/** Breaks a Redis Cluster. */
export async function runClusterFault(
  fault: ClusterFault,
  tracks: readonly Track[],
  program: Program,
): Promise<Evidence> {
  await using cluster = await startCluster()
  const slots = tracks.flatMap(({ label }) => slotsOf(limiterName(fault.name, label)))
  // All on one primary, so that its fault hits every limiter.
  const primary = await cluster.ownerOf(slots[0] as number)
  for (const slot of slots) await cluster.move(slot, primary)
  const target: Target = { how: 'cluster', client: 'ioredis', addresses: cluster.addresses }
  const scene = { ...fault, reconnects: true, run: (cast: Cast) => fault.run(cluster, slots, cast) }
  return await underLoad(scene, tracks, { program, target, direct: target })
}
