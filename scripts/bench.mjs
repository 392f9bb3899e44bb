// `npm run bench -- ARGS`: sets up a fresh clone, builds the package, then measures it beside its peers.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ensureRedisServer } from './redis.mjs'
import { setup } from './setup.mjs'

setup()
ensureRedisServer()
const core = fileURLToPath(new URL('../packages/core/', import.meta.url))
const build = fileURLToPath(new URL('./build-package.mjs', import.meta.url))
// Measures what users install, not the sources that the tests run.
const built = spawnSync(process.execPath, [build], { cwd: core, stdio: ['ignore', 2, 2] })
if (built.status !== 0) process.exit(1)
const main = fileURLToPath(new URL('../benchmarks/src/main.ts', import.meta.url))
const { status } = spawnSync(process.execPath, ['--import', 'tsx', main, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exit(status ?? 1)
