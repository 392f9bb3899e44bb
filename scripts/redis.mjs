// Makes sure that a redis-server or valkey-server is there for the tests: installs one with the system's package
// manager if that needs no password, and otherwise says in one line what to install.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const SERVERS = ['redis-server', 'valkey-server']

// The first package that exists wins: newer distributions have dropped one of the two names.
const PACKAGE_MANAGERS = [
  {
    command: 'apt-get',
    before: ['update'],
    install: ['install', '-y', '--no-install-recommends'],
    packages: ['redis-server', 'valkey-server'],
  },
  { command: 'dnf', install: ['install', '-y'], packages: ['valkey', 'redis'] },
  { command: 'yum', install: ['install', '-y'], packages: ['redis', 'valkey'] },
  { command: 'apk', install: ['add', '--no-cache'], packages: ['redis', 'valkey'] },
  { command: 'pacman', install: ['-Sy', '--noconfirm'], packages: ['valkey', 'redis'] },
  { command: 'zypper', install: ['--non-interactive', 'install'], packages: ['redis', 'valkey'] },
  { command: 'brew', install: ['install'], packages: ['redis', 'valkey'], asUser: true },
]

export function ensureRedisServer() {
  if (SERVERS.some(onPath)) return
  const manager = PACKAGE_MANAGERS.find(({ command }) => onPath(command))
  const prefix = manager && rights(manager)
  if (prefix) {
    console.error(`spillway: installing a Redis server with ${manager.command}, for the tests`)
    if (manager.before) run([...prefix, manager.command, ...manager.before])
    for (const name of manager.packages) {
      run([...prefix, manager.command, ...manager.install, name])
      if (SERVERS.some(onPath)) return
    }
  }
  console.error(`spillway: the tests need redis-server or valkey-server on the PATH: ${advice(manager)}`)
  process.exit(1)
}

/** The prefix that lets a command install packages: none, sudo, or undefined if it may not. */
function rights({ asUser }) {
  const isRoot = process.getuid?.() === 0
  if (asUser) return isRoot ? undefined : []
  if (isRoot) return []
  const mayWithoutPassword =
    onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
  return mayWithoutPassword ? ['sudo', '-n'] : undefined
}

function run([command, ...args]) {
  spawnSync(command, args, {
    stdio: ['ignore', 2, 2],
    // RUNLEVEL: Debian's packages then do not start a server of their own on the default port.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', HOMEBREW_NO_AUTO_UPDATE: '1' },
  })
}

function advice(manager) {
  if (!manager) return 'install Redis 6.2 or newer, or Valkey'
  return `run \`${manager.asUser ? '' : 'sudo '}${manager.command} ${manager.install[0]} ${manager.packages[0]}\``
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
