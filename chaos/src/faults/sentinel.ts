import { startSentinels } from '@spillway/redis-server'
import type { Scene } from '../fault.ts'
import type { Target, Track } from '../node/job.ts'
import type { Program } from '../program.ts'
import { type Evidence, underLoad } from '../under-load.ts'

export const sentinelFault: Omit<Scene, 'run'> = {
  name: 'sentinel-failover',
  title: 'Sentinel: the primary is killed, and a replica takes its place',
  ...{ keeps: false, outage: 'flaky' },
}

/** Kills the primary that sentinels watch. */
export async function runSentinelFault(tracks: readonly Track[], program: Program): Promise<Evidence> {
  await using sentinels = await startSentinels()
  const target: Target = { how: 'sentinel', client: 'ioredis', addresses: sentinels.addresses }
  const scene = {
    ...sentinelFault,
    async run() {
      const before = await sentinels.primary()
      before.kill()
      while ((await sentinels.primary()) === before) await new Promise((resolve) => setTimeout(resolve, 20))
    },
  }
  return await underLoad(scene, tracks, { program, target, direct: target })
}
