import { judge, type Verdict } from '../judge.ts'
import type { Track } from '../node/job.ts'
import { NodeProcess } from '../node-process.ts'
import type { Program } from '../program.ts'
import { underLoad } from '../under-load.ts'
import { smokeList } from './list.ts'
import type { Setting } from './setting.ts'
import { startWorld } from './world.ts'

const NODES = 2
/** Milliseconds of load before and after each fault. */
const LEAD = 500

export interface SmokeResult {
  readonly setting: Setting
  /** The Node version of the nodes' processes. */
  readonly nodeVersion: string
  readonly verdicts: readonly Verdict[]
  readonly holds: boolean
}

/** Runs the smoke list on one setting, in the same processes one after the other. */
export async function runSmoke(
  setting: Setting,
  tracks: readonly Track[],
  program: Program,
  only: RegExp = /./,
): Promise<SmokeResult> {
  await using world = await startWorld(setting)
  const started = await Promise.allSettled(
    Array.from({ length: NODES + 1 }, () => NodeProcess.start(program)),
  )
  const processes = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  try {
    for (const result of started) if (result.status === 'rejected') throw result.reason
    const [auditor, ...nodes] = processes as [NodeProcess, ...NodeProcess[]]
    const verdicts: Verdict[] = []
    for (const scene of smokeList(world).filter(({ name }) => only.test(name))) {
      const { target } = world
      const place = { program, target, direct: target, lead: LEAD, pool: { nodes, auditor } }
      const verdict = judge(await underLoad(scene, tracks, place))
      verdicts.push(verdict)
      if (!verdict.holds && world.describe)
        console.log(`\n${setting.name}, ${scene.name}:\n${await world.describe()}`)
    }
    const holds = verdicts.every((verdict) => verdict.holds)
    return { setting, nodeVersion: await auditor.version(), verdicts, holds }
  } finally {
    await Promise.all(processes.map((node) => node.stop()))
  }
}
