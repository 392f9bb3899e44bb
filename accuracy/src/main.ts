/** `npm run accuracy -- ARGS`. Exit codes: 0 done, 1 cells miss their targets, 2 bad arguments. */
import { UsageError } from '@spillway/command-line'
import { type Options, readArguments, usage } from './arguments.ts'
import { jobsFor, size, variantsFor } from './jobs.ts'
import { line } from './line.ts'
import { type Job, roundTrip, scenarioOf } from './measure.ts'
import { inPlaceOf, type Result, results } from './result.ts'
import { misses } from './targets.ts'
import { missing, type VariantName } from './variants.ts'
import { measureAll } from './workers.ts'
import { write, written } from './write.ts'

async function main(options: Options): Promise<boolean> {
  const absent = absentVariants(options)
  const jobs = jobsFor(options).filter(({ variant }) => !absent.has(variant))
  const began = performance.now()
  const measured = await measureAll(jobs, size, options.jobs, ({ job, seconds }) => {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${name(job)} seed ${job.seed}: ${seconds.toFixed(1)} s\x1b[K`)
  })
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  const cells = results(measured)
  for (const cell of cells) console.log(line(name(cell), cell.report, roundTrip(scenarioOf(cell))))
  const busy = measured.reduce((sum, { seconds }) => sum + seconds, 0)
  console.log(
    `${jobs.length} runs in ${((performance.now() - began) / 1000).toFixed(1)} s, ${busy.toFixed(1)} s of computing`,
  )
  if (options.save) await write(inPlaceOf(await written(), cells))
  else if (!options.partial) await write(cells)
  return tellMisses(cells, absent)
}

function absentVariants(options: Options): Map<VariantName, string> {
  const absent = new Map<VariantName, string>()
  for (const variant of variantsFor(options)) {
    const why = missing(variant)
    if (why === undefined) continue
    if (options.variants.length > 0) throw new UsageError(`there is no variant ${variant} yet: ${why}`)
    absent.set(variant, why)
  }
  return absent
}

function name({ scenario, algorithm, variant }: Pick<Job, 'scenario' | 'algorithm' | 'variant'>): string {
  return `${scenario} ${algorithm} ${variant}`
}

function tellMisses(cells: readonly Result[], absent: ReadonlyMap<VariantName, string>): boolean {
  const missed = cells.flatMap((cell) => misses(cell).map((miss) => `${name(cell)}: ${miss}`))
  for (const [variant, why] of absent) missed.push(`${variant}: not measured: ${why}`)
  for (const miss of missed) console.log(`MISSED ${miss}`)
  return missed.length === 0
}

try {
  const options = readArguments(process.argv.slice(2))
  if (options.help) process.stdout.write(usage)
  else if (!(await main(options))) process.exitCode = 1
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`spillway accuracy: ${error.message}\n`)
  process.exitCode = 2
}
