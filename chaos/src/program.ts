import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODE_SOURCES = fileURLToPath(new URL('./node', import.meta.url))
const CORE = join(ROOT, 'packages/core')
const CLIENTS = ['ioredis', 'ioredis5', 'iovalkey']

/** The program of a node process: how to start it. */
export interface Program {
  readonly file: string
  /** Arguments for Node. */
  readonly flags: readonly string[]
  /** The Node to run it; default: this one. */
  readonly runtime?: string
}

/** The program from the sources in the repository. */
export const fromSources: Program = {
  file: join(NODE_SOURCES, 'main.ts'),
  flags: ['--expose-gc', '--conditions', '@spillway/source', '--import', import.meta.resolve('tsx')],
}

/** Packs the core as for publishing. Returns the tarball's path. */
export function packCore(folder: string): string {
  mkdirSync(folder, { recursive: true })
  execFileSync(join(ROOT, 'node_modules/.bin/pnpm'), ['pack', '--pack-destination', folder], {
    cwd: CORE,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const name = readdirSync(folder).find((file) => file.endsWith('.tgz')) as string
  return join(folder, name)
}

export interface Build extends Disposable {
  readonly program: Program
}

/**
 * The program on the packed core, in plain JavaScript, in a folder of its own: runs on any Node, and is not changed by
 * edits to the sources meanwhile.
 *
 * @param client the package that `ioredis` stands for
 */
export function build(tarball: string, client: 'ioredis' | 'ioredis5' = 'ioredis'): Build {
  mkdirSync(join(ROOT, '.tmp'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.tmp/chaos-'))
  const core = join(folder, 'node_modules/@spillway/core')
  mkdirSync(core, { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '-C', core, '--strip-components=1'])
  const { dependencies } = JSON.parse(readFileSync(join(core, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) link(join(CORE, 'node_modules', name), folder, name)
  const here = join(ROOT, 'chaos/node_modules')
  for (const name of CLIENTS) link(join(here, name === 'ioredis' ? client : name), folder, name)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  emit(join(folder, 'node'))
  return {
    program: { file: join(folder, 'node/main.js'), flags: ['--expose-gc'] },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function link(target: string, folder: string, name: string): void {
  const path = join(folder, 'node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(realpathSync(target), path)
}

/** Only strips the types; `tsc` checks them with all the others. */
function emit(folder: string): void {
  const files = readdirSync(NODE_SOURCES).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  execFileSync(
    join(ROOT, 'node_modules/.bin/tsc'),
    [
      ...['--ignoreConfig', '--noCheck', '--noResolve', '--rewriteRelativeImportExtensions'],
      ...['--module', 'nodenext', '--target', 'es2023', '--rootDir', NODE_SOURCES, '--outDir', folder],
      ...files.map((file) => join(NODE_SOURCES, file)),
    ],
    { stdio: ['ignore', 2, 2] },
  )
}
