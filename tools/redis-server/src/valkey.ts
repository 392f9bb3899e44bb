import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './find.ts'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const SOURCE = `deb [signed-by=${KEYRING}] http://deb.debian.org/debian bookworm-backports main\n`
const PACKAGES = ['valkey-server', 'valkey-tools']

/**
 * The path of a `valkey-server` 8: on the PATH, or Debian's from bookworm-backports, unpacked below the user's cache
 * without being installed. Undefined where there is neither.
 */
export function valkeyServer(): string | undefined {
  const installed = findProgram('valkey-server')
  if (installed !== undefined && /v=8\./.test(execFileSync(installed, ['--version'], { encoding: 'utf8' })))
    return installed
  const folder = join(homedir(), '.cache/spillway/valkey-8')
  const program = join(folder, 'usr/bin/valkey-server')
  if (!existsSync(program) && existsSync(KEYRING) && findProgram('apt-get') && findProgram('dpkg-deb')) {
    try {
      unpack(folder)
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      console.error(`spillway: no Valkey 8 from bookworm-backports: ${(error as Error).message}`)
    }
  }
  return existsSync(program) ? program : undefined
}

function unpack(folder: string): void {
  const state = join(folder, 'apt')
  for (const name of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(state, name), { recursive: true })
  writeFileSync(join(state, 'sources.list'), SOURCE)
  const options = [
    `Dir::Etc::SourceList=${join(state, 'sources.list')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(state, 'lists')}`,
    `Dir::Cache=${join(state, 'cache')}`,
  ].flatMap((option) => ['-o', option])
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: state, stdio: 'pipe' })
  run('apt-get', ...options, 'update')
  run('apt-get', ...options, 'download', ...PACKAGES)
  for (const file of readdirSync(state)) if (file.endsWith('.deb')) run('dpkg-deb', '-x', file, folder)
  rmSync(state, { recursive: true })
}
