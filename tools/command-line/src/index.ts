import { type ParseArgsConfig, parseArgs } from 'node:util'

/** The caller asked for something that can't be done: told in one line, exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/**
 * The values of a command's options, as `parseArgs` of `node:util` reads them.
 *
 * @throws UsageError for anything that is no such option
 */
export function readOptions<const T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    // parseArgs adds advice on further lines and sentences; the first one says what is wrong.
    const [complaint] = (error as Error).message.split(/\.?\n|\. /)
    throw new UsageError('help' in options ? `${complaint} (--help lists the options)` : complaint)
  }
}

export interface NumberRange {
  readonly least: number
  readonly most: number
  /** Default true. */
  readonly whole?: boolean
}

/** The number that an option's text stands for. @throws UsageError */
export function readNumber(option: string, text: string, { least, most, whole = true }: NumberRange): number {
  // `Number` alone would also read '', '0x10' and '1e1'.
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value
  const kind = whole ? 'a whole number' : 'a number'
  throw new UsageError(`${option} takes ${kind} from ${least} to ${most}, not '${text}'`)
}

/** The regular expression that an option's text stands for. @throws UsageError */
export function readPattern(option: string, text: string): RegExp {
  try {
    return new RegExp(text)
  } catch {
    throw new UsageError(`${option} takes a regular expression such as '^node-', not '${text}'`)
  }
}

/** What `read` returns. On a `UsageError` it is told, and the process ends with exit code 2. */
export function readOrExit<T>(command: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${command}: ${error.message}\n`)
    process.exit(2)
  }
}
