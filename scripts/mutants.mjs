// `npm run mutants`: sets up a fresh clone, then puts known bugs into the core and requires the tests to find them.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

setup()
const main = fileURLToPath(new URL('../test/mutants/main.ts', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
