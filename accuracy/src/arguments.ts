import { availableParallelism } from 'node:os'
import { readNumber, readOptions, UsageError } from '@spillway/command-line'
import { algorithmNames } from './algorithms.ts'
import { beyond, grid } from './scenarios.ts'
import { variantNames } from './variants.ts'

export interface Options {
  /** Scenarios, algorithms and variants to run; empty: all that belong to a full run. */
  readonly rows: readonly string[]
  readonly algorithms: readonly string[]
  readonly variants: readonly string[]
  readonly seeds: number
  readonly windows: number
  readonly jobs: number
  /** Whether less than all was asked for. */
  readonly partial: boolean
  /** Whether to save a partial run, replacing the earlier results of the same cells. */
  readonly save: boolean
  readonly help: boolean
}

export const usage = `Usage: npm run accuracy -- [options]

Runs the accuracy grid and the scenarios beyond it in the simulator, in every variant, and writes
accuracy/results and the tables of docs/accuracy.md. With --row, --algorithm, --variant, --seeds,
--windows or --quick it only prints, but with --save: then what was measured takes the place of the same lines and
columns, and the others stay as they are. Exit codes: 0 done, 1 cells miss their target, 2 bad arguments.

  --row ID         a row of the grid (1 to 8), or a scenario beyond it (${beyond[0]?.id}, …); may be given again
  --algorithm A    ${algorithmNames.join(', ')}
  --variant V      ${variantNames.join(', ')}
  --seeds N        how many random courses of each, default 3
  --windows N      how long each is, default 20
  --jobs N         processes to use, default as many as there are processors
  --save           writes what was measured, though it is only a part
  --quick          one seed and 6 windows
  --help           this text
`

const OPTIONS = {
  row: { type: 'string', multiple: true, default: [] as string[] },
  algorithm: { type: 'string', multiple: true, default: [] as string[] },
  variant: { type: 'string', multiple: true, default: [] as string[] },
  seeds: { type: 'string' },
  windows: { type: 'string' },
  jobs: { type: 'string' },
  save: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Of seeds, windows or processes. */
const MOST = 1000

/** Reads the command line. Throws `UsageError` for anything it does not understand. */
export function readArguments(args: readonly string[]): Options {
  const values = readOptions(args, OPTIONS)
  return {
    rows: known(
      '--row',
      values.row,
      [...grid, ...beyond].map(({ id }) => id),
    ),
    algorithms: known('--algorithm', values.algorithm, algorithmNames),
    variants: known('--variant', values.variant, variantNames),
    seeds: readNumber('--seeds', values.seeds ?? (values.quick ? '1' : '3'), { least: 1, most: MOST }),
    windows: readNumber('--windows', values.windows ?? (values.quick ? '6' : '20'), { least: 2, most: MOST }),
    jobs: readNumber('--jobs', values.jobs ?? String(availableParallelism()), { least: 1, most: MOST }),
    partial: args.some((argument) => argument.startsWith('--') && !argument.startsWith('--jobs')),
    save: values.save,
    help: values.help,
  }
}

function known(name: string, given: readonly string[], there: readonly string[]): readonly string[] {
  const other = given.find((value) => !there.includes(value))
  if (other === undefined) return given
  throw new UsageError(`${name} takes ${there.join(', ')}, not '${other}'`)
}
