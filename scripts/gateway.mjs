// `npm run gateway`: sets up a fresh clone, then runs the gateway example from its sources.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ensureRedisServer } from './redis.mjs'
import { setup } from './setup.mjs'

setup()
ensureRedisServer()
const main = fileURLToPath(new URL('../examples/gateway/src/main.ts', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
