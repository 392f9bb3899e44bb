import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pLimit from 'p-limit'
import { networkFaults } from './faults/network.ts'
import { nodeFaults } from './faults/node.ts'
import { serverFaults } from './faults/server.ts'
import { judge, type Verdict } from './judge.ts'
import { build, packCore } from './program.ts'
import { printVerdict } from './report.ts'
import { runFault } from './run-fault.ts'
import { tracks } from './tracks.ts'

const RESULTS = fileURLToPath(new URL('../results', import.meta.url))

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    tarball: { type: 'string' },
    'at-once': { type: 'string', default: String(Math.max(2, availableParallelism())) },
  },
})

const packed = join(fileURLToPath(new URL('../../.tmp', import.meta.url)), `core-${process.pid}`)
const tarball = values.tarball ?? packCore(packed)
using built = build(tarball)
const atOnce = pLimit(Number(values['at-once']))
const chosen = [...serverFaults, ...networkFaults, ...nodeFaults].filter(({ name }) =>
  new RegExp(values.only).test(name),
)
const started = performance.now()
const verdicts: Verdict[] = []
const failures: { fault: string; error: string }[] = []
await Promise.all(
  chosen.map((fault) =>
    atOnce(async () => {
      try {
        const verdict = judge(await runFault(fault, tracks, built.program))
        verdicts.push(verdict)
        printVerdict(verdict)
      } catch (error) {
        failures.push({ fault: fault.name, error: (error as Error).stack ?? String(error) })
        console.log(`✗ ${fault.name}: ${(error as Error).stack}`)
      }
    }),
  ),
)
rmSync(packed, { recursive: true, force: true })

const machine = `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${arch()}, Node ${process.version}`
mkdirSync(RESULTS, { recursive: true })
if (values.only === '') {
  const order = chosen.map(({ name }) => name)
  verdicts.sort((one, other) => order.indexOf(one.fault) - order.indexOf(other.fault))
  const result = { machine, date: new Date().toISOString(), verdicts, failures }
  writeFileSync(join(RESULTS, 'faults.json'), `${JSON.stringify(result, undefined, 2)}\n`)
}
const broken = verdicts.filter(({ holds }) => !holds)
const minutes = ((performance.now() - started) / 60_000).toFixed(1)
console.log(`\n${verdicts.length - broken.length} of ${chosen.length} faults held, in ${minutes} min`)
if (broken.length > 0 || failures.length > 0) process.exitCode = 1
