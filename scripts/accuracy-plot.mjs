// `npm run accuracy:plot`: sets up a fresh clone, then draws the plot of docs/how-it-works.md.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

setup()
const main = fileURLToPath(new URL('../accuracy/src/plot/main.ts', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
