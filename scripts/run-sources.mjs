// Runs a program of this repository from its sources, with this process's arguments, and ends with its exit code.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

/** @param path from the repository's root */
export function runSources(path) {
  setup()
  const main = fileURLToPath(new URL(`../${path}`, import.meta.url))
  const { status } = spawnSync(
    process.execPath,
    ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
    { stdio: 'inherit' },
  )
  process.exit(status ?? 1)
}
