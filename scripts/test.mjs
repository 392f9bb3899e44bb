// `npm test`: everything, from a fresh clone. `npm test -- NAME` runs the test files with NAME in their path. All
// stages run even if one fails, so that one run shows all there is to mend.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureRedisServer } from './redis.mjs'
import { setup } from './setup.mjs'
import { REPORT } from './test-report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

setup()
ensureRedisServer()
rmSync(REPORT, { force: true })

const stages = [
  ['biome', 'check', '--error-on-warnings', '.'],
  ['tsc', '--noEmit'],
  [
    'vitest',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${REPORT}`,
    ...process.argv.slice(2),
  ],
]
const failed = stages.filter(([tool, ...args]) => {
  console.log(`\n> ${tool} ${args.join(' ')}`)
  const { status } = spawnSync(join(root, 'node_modules/.bin', tool), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  return status !== 0
})
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.map(([tool]) => tool).join(', ')}`)
  process.exit(1)
}
