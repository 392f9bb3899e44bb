import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where distributions put nginx; not all of these are on everybody's PATH. */
const FOLDERS = [
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
]

/**
 * The path of nginx. If there is none and this process may install packages, installs Debian's smallest.
 *
 * @throws Error if there is none and it can't be installed; the message says what to install
 */
export async function findNginx(): Promise<string> {
  const found = onDisk()
  if (found) return found
  if (process.getuid?.() === 0) {
    console.error('gateway: installing nginx with apt-get')
    await aptGet('update')
    await aptGet('install', '-y', '--no-install-recommends', 'nginx-light')
  }
  const installed = onDisk()
  if (!installed)
    throw new Error('the gateway needs nginx: run `sudo apt-get install nginx-light` or its like')
  return installed
}

function onDisk(): string | undefined {
  return FOLDERS.map((folder) => join(folder, 'nginx')).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

async function aptGet(...args: string[]): Promise<void> {
  // RUNLEVEL: the package then does not start a server of its own on port 80.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  await once(spawn('apt-get', args, { stdio: ['ignore', 2, 2], env }), 'close')
}
