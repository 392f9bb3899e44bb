/** `npm run accuracy:processes`: real processes over a real Redis, into the table of docs/accuracy.md. */
import { availableParallelism, loadavg } from 'node:os'
import { readOptions, readOrExit } from '@spillway/command-line'
import { markdownTable } from 'markdown-table'
import { percent } from '../line.ts'
import { variants } from '../variants.ts'
import { writeTable } from '../write.ts'
import { measureProcesses, type ProcessesResult } from './measure.ts'

// There are no arguments: any is an error.
readOrExit('spillway accuracy:processes', () => readOptions(process.argv.slice(2), {}))

const SIZES = [8, 32]

function line(result: ProcessesResult): string[] {
  const { processes, variant, overshoot, simulated, bound, used, miscounted } = result
  const parts = ({ mean, max }: { mean: number; max: number }) => `${percent(mean)} / ${percent(max)}`
  return [
    `${processes} processes, ${variants[variant].title}`,
    ...[parts(overshoot), parts(simulated), percent(bound), percent(used), String(miscounted)],
  ]
}

const load = loadavg()[0] as number
const results = await measureProcesses(SIZES)
const head = ['', 'overshoot', 'simulated', 'bound', 'used', 'miscounted']
const table = markdownTable([head, ...results.map(line)], { align: ['l', 'r', 'r', 'r', 'r', 'r'] })
console.log(table)
await writeTable('processes', table, {
  date: new Date().toISOString().slice(0, 10),
  machine: `${availableParallelism()} processors, load before it ${load.toFixed(1)}, Node ${process.version}`,
  results,
})
const wrong = results.filter(({ broken, miscounted }) => broken > 0 || miscounted > 0)
for (const { processes, variant } of wrong) console.log(`BROKEN ${processes} processes, ${variant}`)
process.exitCode = wrong.length > 0 ? 1 : 0
