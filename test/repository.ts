import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What makes plain Node run TypeScript, and take our packages from their sources. */
export const RUN_SOURCES = ['--conditions', '@spillway/source', '--import', 'tsx']

/** Files of the repository, committed or about to be, as paths from its root that match the pattern. */
export function repositoryFiles(pattern: RegExp): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const paths = [...new Set(listed.split('\0'))]
  return paths.filter((path) => pattern.test(path) && existsSync(join(ROOT, path))).sort()
}

/** The path of a tool that was installed in the repository. */
export function tool(name: string): string {
  return join(ROOT, 'node_modules/.bin', name)
}
