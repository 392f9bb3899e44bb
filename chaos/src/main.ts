import { rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readNumber, readOptions, readOrExit, readPattern } from '@spillway/command-line'
import pLimit from 'p-limit'
import { clusterFaults, runClusterFault } from './faults/cluster.ts'
import { networkFaults } from './faults/network.ts'
import { nodeFaults } from './faults/node.ts'
import { runSentinelFault, sentinelFault } from './faults/sentinel.ts'
import { serverFaults } from './faults/server.ts'
import { judge, type Verdict } from './judge.ts'
import { loadFaults } from './load/load-faults.ts'
import type { LoadVerdict } from './load/load-verdict.ts'
import { build, packCore } from './program.ts'
import { printLoad, printSmoke, printVerdict } from './report.ts'
import { writeResult } from './result.ts'
import { runFault } from './run-fault.ts'
import { runSmoke, type SmokeResult } from './smoke/run-smoke.ts'
import { nodeRuntime } from './smoke/runtime.ts'
import { settings } from './smoke/setting.ts'
import { smokeTracks, tracks } from './tracks.ts'

const USAGE = `Usage: npm run chaos -- [options]

Breaks servers, networks and nodes under load, and compares what was counted with what was admitted.

  --only PATTERN   only what matches this regular expression, such as '^server-killed$' or '^smoke: cluster'
  --save           put the results of --only in the place of earlier ones
  --list           what there is
  --at-once N      how many run at once (default: the number of cores)
  --tarball FILE   test this tarball of @spillway/core instead of packing the sources
  --help           this text

Without --only, or with --save, the results go to chaos/results/chaos.json and docs/failures.md.
`

const { values, only, atOnce } = readOrExit('spillway chaos', () => {
  const values = readOptions(process.argv.slice(2), {
    only: { type: 'string', default: '' },
    save: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    tarball: { type: 'string' },
    'at-once': { type: 'string', default: String(availableParallelism()) },
    help: { type: 'boolean', default: false },
  })
  return {
    values,
    only: readPattern('--only', values.only),
    atOnce: pLimit(readNumber('--at-once', values['at-once'], { least: 1, most: 1000 })),
  }
})

const verdicts: Verdict[] = []
const smoke: SmokeResult[] = []
const load: LoadVerdict[] = []

const packed = join(fileURLToPath(new URL('../../.tmp', import.meta.url)), `core-${process.pid}`)
const builds = new Map<string, ReturnType<typeof build>>()

/** The nodes' program, with a version of ioredis. */
function programWith(client: 'ioredis' | 'ioredis5') {
  let built = builds.get(client)
  if (built === undefined) {
    built = build(values.tarball ?? packCore(packed), client)
    builds.set(client, built)
  }
  return built.program
}

interface Task {
  readonly name: string
  /** It measures a speed, so nothing else may run beside it. */
  readonly alone?: boolean
  /** Returns whether all claims held. */
  run(): Promise<boolean>
}

function fault(name: string, gather: () => ReturnType<typeof runFault>): Task {
  const run = async () => {
    const verdict = judge(await gather())
    verdicts.push(verdict)
    printVerdict(verdict)
    return verdict.holds
  }
  return { name, run }
}

const tasks: Task[] = [
  ...[...serverFaults, ...networkFaults, ...nodeFaults].map((each) =>
    fault(each.name, () => runFault(each, tracks, programWith('ioredis'))),
  ),
  ...clusterFaults.map((each) =>
    fault(each.name, () => runClusterFault(each, tracks, programWith('ioredis'))),
  ),
  fault(sentinelFault.name, () => runSentinelFault(tracks, programWith('ioredis'))),
  ...loadFaults.map((each) => ({
    name: `load: ${each.name}`,
    alone: each.alone,
    async run() {
      const verdict = await each.run(programWith('ioredis'))
      load.push(verdict)
      printLoad(verdict)
      return verdict.claims.every(({ holds }) => holds)
    },
  })),
  ...settings.map((setting) => ({
    name: `smoke: ${setting.name}`,
    async run() {
      // For a URL, core itself loads the package named ioredis.
      const own = setting.how === 'url' && setting.client === 'ioredis5' ? 'ioredis5' : 'ioredis'
      const runtime = setting.node && nodeRuntime(setting.node)
      const result = await runSmoke(setting, smokeTracks, {
        ...programWith(own),
        ...(runtime && { runtime }),
      })
      smoke.push(result)
      printSmoke(result)
      return result.holds
    },
  })),
]

async function main(): Promise<void> {
  const chosen = tasks.filter(({ name }) => only.test(name))
  if (values.list) return console.log(chosen.map(({ name }) => name).join('\n'))
  if (chosen.length === 0) {
    console.error(`spillway chaos: --only '${values.only}' matches no case: --list names them`)
    process.exitCode = 2
    return
  }
  const started = performance.now()
  const failed: string[] = []
  const carryOut = async ({ name, run }: Task) => {
    const holds = await run().catch((error: Error) => {
      console.log(`\n✗ ${name}: ${error.stack}`)
      return false
    })
    if (!holds) failed.push(name)
  }
  for (const task of chosen.filter(({ alone }) => alone)) await carryOut(task)
  await Promise.all(chosen.filter(({ alone }) => !alone).map((task) => atOnce(carryOut, task)))
  const order = tasks.map(({ name }) => name)
  if (values.save || values.only === '') writeResult({ verdicts, smoke, load, failed }, order)
  const minutes = ((performance.now() - started) / 60_000).toFixed(1)
  console.log(`\n${chosen.length - failed.length} of ${chosen.length} held, in ${minutes} minutes`)
  if (failed.length === 0) return
  console.log(`did not hold: ${failed.join(', ')}`)
  process.exitCode = 1
}

try {
  if (values.help) console.log(USAGE)
  else await main()
} finally {
  for (const built of builds.values()) built[Symbol.dispose]()
  rmSync(packed, { recursive: true, force: true })
}
// Without this, Node 20 may wait, busily and forever, for a handle of a killed node (see the soak).
process.exit()
