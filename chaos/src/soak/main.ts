import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readNumber, readOptions, readOrExit, readPattern, UsageError } from '@spillway/command-line'
import type { Round } from '../measured.ts'
import { build, packCore } from '../program.ts'
import { printVerdict } from '../report.ts'
import { origin, writeSoak } from '../result.ts'
import { tracks } from '../tracks.ts'
import { soak, soakFaults } from './soak.ts'

const USAGE = `Usage: npm run soak -- [options]

Keeps limiters in every mode under load, lets a random fault happen every 20 s, and checks after each that
everything adds up. Writes chaos/results/soak.json and docs/failures.md when it ran for 30 minutes or more with all
faults.

  --minutes N      how long (default 30)
  --every N        seconds from one fault to the next, at least (default 20)
  --seed N         which faults (default: one of its own, printed)
  --only PATTERN   only faults whose names match this regular expression, such as '^node-'
  --tarball FILE   test this tarball of @spillway/core instead of packing the sources
  --help           this text
`

const { values, minutes, every, seed, faults } = readOrExit('spillway soak', () => {
  const values = readOptions(process.argv.slice(2), {
    minutes: { type: 'string', default: '30' },
    every: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', default: '' },
    tarball: { type: 'string' },
    help: { type: 'boolean', default: false },
  })
  const only = readPattern('--only', values.only)
  const faults = soakFaults.filter(({ name }) => only.test(name))
  if (faults.length === 0) throw new UsageError(`--only: no fault's name matches '${values.only}'`)
  return {
    values,
    minutes: readNumber('--minutes', values.minutes, { least: 0.1, most: 100_000, whole: false }),
    every: readNumber('--every', values.every, { least: 1, most: 100_000, whole: false }),
    seed: readNumber('--seed', values.seed, { least: 0, most: 2 ** 31 - 1 }),
    faults,
  }
})

async function main(): Promise<void> {
  const packed = join(fileURLToPath(new URL('../../../.tmp', import.meta.url)), `core-${process.pid}`)
  try {
    using built = build(values.tarball ?? packCore(packed))
    console.log(`soak: ${minutes} minutes, a fault every ${every} s, seed ${seed}`)
    const rounds: Round[] = []
    const onRound = (round: Round) => {
      rounds.push(round)
      const { second, fault, verdict, heapMb } = round
      console.log(`${verdict.holds ? '✓' : '✗'} ${second} s: ${fault}, heaps ${heapMb.join(', ')} MB`)
      if (!verdict.holds) printVerdict(verdict)
    }
    await soak({ minutes, every, seed, faults, tracks, program: built.program, onRound })
    const failed = rounds.filter(({ verdict }) => !verdict.holds)
    if (minutes >= 30 && values.only === '') writeSoak({ ...origin(), minutes, every, seed, rounds })
    console.log(`\n${rounds.length - failed.length} of ${rounds.length} rounds held`)
    if (failed.length > 0) process.exitCode = 1
  } finally {
    rmSync(packed, { recursive: true, force: true })
  }
}

if (values.help) console.log(USAGE)
else await main()
// Without this, Node 20 waits at its end, busily and forever, for a handle of a killed node.
process.exit()
