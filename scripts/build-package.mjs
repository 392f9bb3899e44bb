// Builds the package in the current folder: its sources to dist/, its licence beside them.
import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

rmSync('dist', { recursive: true, force: true })
const tsc = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
copyFileSync(fileURLToPath(new URL('../LICENSE', import.meta.url)), 'LICENSE')
process.exit(status ?? 1)
