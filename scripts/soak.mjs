// `npm run soak -- ARGS`: sets up a fresh clone, then runs load with a random fault every 20 s.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ensureRedisServer } from './redis.mjs'
import { setup } from './setup.mjs'

setup()
ensureRedisServer()
const main = fileURLToPath(new URL('../chaos/src/soak/main.ts', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  ['--conditions', '@spillway/source', '--import', 'tsx', main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
