/** `npm run demo -- ARGS`. Exit codes: 0 done, 1 failed, 2 bad arguments, 128 + n ended by signal n. */
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { clearLine, cursorTo } from 'node:readline'
import { UsageError } from '@spillway/command-line'
import { readArguments, usage } from './arguments.ts'
import { runDemo } from './demo.ts'
import { asJson, asText } from './report.ts'

class Interruption extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM'

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`)
    this.signal = signal
  }
}

const closers: (() => Promise<unknown>)[] = []

async function main(): Promise<void> {
  const options = readArguments(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(usage)
    return
  }
  // npm runs scripts in the root of the repository, wherever the caller stood.
  if (options.log !== undefined) options.log = resolve(process.env.INIT_CWD ?? '', options.log)
  const result = await Promise.race([runDemo(options, (close) => closers.push(close)), interruption()])
  process.stdout.write(options.json ? asJson(result) : asText(result))
}

function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Interruption(signal)))
    }
  })
}

/** Removes a progress bar that was left half way. */
function clearBar(): void {
  cursorTo(process.stderr, 0)
  clearLine(process.stderr, 0)
}

function exitCodeFor(error: unknown): number {
  if (error instanceof Interruption) return 128 + constants.signals[error.signal]
  return error instanceof UsageError ? 2 : 1
}

let exitCode = 0
try {
  await main()
} catch (error) {
  exitCode = exitCodeFor(error)
  // One line, whatever a file's name or a server's answer had in it.
  const message = (error as Error).message.replace(/\s+/g, ' ')
  if (process.stderr.isTTY) clearBar()
  process.stderr.write(`spillway demo: ${message}\n`)
}
// What does not close must not keep the rest open.
for (const close of closers.reverse()) await close().catch(() => {})
// An interrupted replay would go on; standard output, where it is a pipe, must be drained first.
process.stdout.write('', () => process.exit(exitCode))
