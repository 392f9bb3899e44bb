// `npm run accuracy:processes`: sets up a fresh clone, then measures real processes over a real Redis.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

setup()
const main = fileURLToPath(new URL('../accuracy/src/processes/main.ts', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
