// Makes a fresh clone ready, with nothing but Node and npm at hand: installs the dependencies if they are missing or
// older than the lockfile. Prints to stderr only, so that a script's stdout stays its own.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const lockfile = join(root, 'pnpm-lock.yaml')
// A copy of the lockfile that was installed. Comparing contents, not times, survives checkouts and copies.
const installed = join(root, 'node_modules/.spillway-lock.yaml')

export function setup() {
  const wanted = readFileSync(lockfile, 'utf8')
  if (existsSync(installed) && readFileSync(installed, 'utf8') === wanted) return

  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  console.error('spillway: installing dependencies')
  const { status } = spawnSync(
    'npx',
    ['--yes', `pnpm@${devDependencies.pnpm}`, 'install', '--frozen-lockfile', '--reporter=append-only'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
      env: { ...process.env, CI: 'true' },
    },
  )
  if (status !== 0) {
    console.error('spillway: the installation failed, see above')
    process.exit(1)
  }
  writeFileSync(installed, wanted)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup()
