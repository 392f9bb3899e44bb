import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs the demo as `npm run demo -- ARGS` does. `onStderr` sees all of stderr so far, each time it grows. */
export function runDemo(
  args: readonly string[],
  onStderr: (stderr: string, demo: ChildProcess) => void = () => {},
): Promise<Outcome> {
  const demo = spawn(
    process.execPath,
    ['--conditions', '@spillway/source', '--import', 'tsx', main, ...args],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const outcome: Outcome = { code: null, stdout: '', stderr: '' }
  demo.stdout.setEncoding('utf8').on('data', (chunk) => {
    outcome.stdout += chunk
  })
  demo.stderr.setEncoding('utf8').on('data', (chunk) => {
    outcome.stderr += chunk
    onStderr(outcome.stderr, demo)
  })
  return new Promise((resolve, reject) => {
    demo.once('error', reject)
    demo.once('close', (code) => resolve({ ...outcome, code }))
  })
}
