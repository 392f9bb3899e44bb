import { readNumber, readOptions, UsageError } from '@spillway/command-line'
import { questions } from './questions.ts'

export interface Options {
  readonly questions: typeof questions
  /** Only cases whose name contains it. */
  readonly caseText: string
  readonly rounds: number
  /** The part of the usual amount of work to do. */
  readonly share: number
  /** Whether to measure nothing, and write the tables from the results there are. */
  readonly tables: boolean
  /** Whether less than whole questions was asked for: such results are only printed. */
  readonly partial: boolean
  readonly help: boolean
}

export const usage = `Usage: npm run bench -- [options]

Measures each question's contenders in alternation, each in a process of its own, writes benchmarks/results
and the tables of README.md, docs/performance.md and docs/scaling.md. With --quick or --case it only prints.
Exit codes: 0 done, 2 bad arguments.

  --only NAME     a question (${questions.map(({ name }) => name).join(', ')}); may be given again
  --case TEXT     only cases whose name contains it
  --rounds N      default 5
  --quick         one round of a fifth of the work
  --tables        only writes the tables, from the results there are
  --help          this text
`

const OPTIONS = {
  only: { type: 'string', multiple: true },
  case: { type: 'string', default: '' },
  rounds: { type: 'string' },
  quick: { type: 'boolean', default: false },
  tables: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Reads the command line. Throws `UsageError` for anything it does not understand, or that would measure nothing. */
export function readArguments(args: readonly string[]): Options {
  const values = readOptions(args, OPTIONS)
  const unknown = values.only?.find((asked) => !questions.some(({ name }) => name === asked))
  if (unknown !== undefined) {
    throw new UsageError(`--only takes ${questions.map(({ name }) => name).join(', ')}, not '${unknown}'`)
  }
  const asked = questions.filter(({ name }) => values.only?.includes(name) ?? true)
  if (!asked.some(({ cases }) => cases.some(({ name }) => name.includes(values.case)))) {
    throw new UsageError(`--case: no case of these questions has '${values.case}' in its name`)
  }
  return {
    questions: asked,
    caseText: values.case,
    rounds: readNumber('--rounds', values.rounds ?? (values.quick ? '1' : '5'), { least: 1, most: 1000 }),
    share: values.quick ? 0.2 : 1,
    tables: values.tables,
    partial: values.quick || values.case !== '',
    help: values.help,
  }
}
