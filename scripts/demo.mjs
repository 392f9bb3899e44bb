// `npm run demo -- ARGS`: sets up a fresh clone, then runs the demo from its sources.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

setup()
const main = fileURLToPath(new URL('../demo/src/main.ts', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
