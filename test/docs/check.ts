import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startRedis } from '@spillway/redis-server'
import { ROOT, RUN_SOURCES, tool } from '../repository.ts'
import { programOf } from './program.ts'
import type { Snippet } from './snippet.ts'

const REDIS_IN_THE_DOCS = 'redis://127.0.0.1:6379'
const RUNS_WITHIN_MS = 30_000

/** Writes a snippet's program into a folder inside the repository, from where our packages resolve. */
export async function writeProgram(snippet: Snippet, folder: string): Promise<void> {
  await writeFile(programFile(snippet, folder), programOf(snippet))
}

/** Typechecks all programs of a folder at once: the compiler's complaints, under the snippets' own lines. */
export async function typecheck(snippets: readonly Snippet[], folder: string): Promise<Map<Snippet, string>> {
  const config = {
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: { noEmit: true, noUnusedLocals: false, noUnusedParameters: false },
    include: ['*.ts'],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const { output } = await run(tool('tsc'), ['-p', folder, '--pretty', 'false'], 120_000)

  const complaints = new Map<Snippet, string>()
  for (const snippet of snippets) {
    const name = fileName(snippet)
    const own = output.split('\n').filter((line) => line.includes(`${name}(`))
    const lines = own.map((line) => {
      const [, row, message] = /\((\d+),\d+\): (.*)/.exec(line) ?? []
      return `${snippet.path}:${snippet.line + Number(row) - 2}: ${message}`
    })
    if (lines.length > 0) complaints.set(snippet, lines.join('\n'))
  }
  const elsewhere = output
    .split('\n')
    .filter((line) => /error TS/.test(line) && !/snippet-\w+\.ts\(/.test(line))
  if (elsewhere.length > 0) throw new Error(`the snippets could not be checked:\n${elsewhere.join('\n')}`)
  return complaints
}

/** Runs a snippet as its reader would, with a Redis of its own where it names one. Rejects where it fails. */
export async function runSnippet(snippet: Snippet, folder: string): Promise<void> {
  const file = programFile(snippet, folder)
  const program = await readFile(file, 'utf8')
  await using redis = program.includes(REDIS_IN_THE_DOCS) ? await startRedis() : undefined
  if (redis) await writeFile(file, program.replaceAll(REDIS_IN_THE_DOCS, redis.url))
  // The folder's own compiler options, or decorators would be compiled by another standard than they are checked.
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(folder, 'tsconfig.json') }
  const { failure, output } = await run(process.execPath, [...RUN_SOURCES, file], RUNS_WITHIN_MS, env)
  if (failure) {
    const own = output.replaceAll(new RegExp(`\\S*${fileName(snippet)}:(\\d+)`, 'g'), (_, row: string) => {
      return `${snippet.path}:${snippet.line + Number(row) - 2}`
    })
    throw new Error(`${snippet.place} ${failure}\n${own}`)
  }
}

function programFile(snippet: Snippet, folder: string): string {
  return join(folder, fileName(snippet))
}

function fileName({ place }: Snippet): string {
  return `snippet-${place.replaceAll(/\W+/g, '_')}.ts`
}

function run(
  command: string,
  args: string[],
  timeout: number,
  env = process.env,
): Promise<{ failure?: string; output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: ROOT, env, timeout, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const output = stdout + stderr
      if (!error) resolve({ output })
      else if (error.killed) resolve({ failure: `did not end within ${timeout} ms`, output })
      else resolve({ failure: `ended with ${error.code ?? error.signal}`, output })
    })
  })
}
