import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT, tool } from './repository.ts'

// What is published is what gets tested here: the tarball, installed outside the repository.

const CORE = join(ROOT, 'packages/core')
let folder: string
let installed: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'spillway-package-')))
  execFileSync(tool('pnpm'), ['pack', '--pack-destination', folder], { cwd: CORE, stdio: 'pipe' })
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!
  installed = join(folder, 'node_modules/@spillway/core')
  await mkdir(installed, { recursive: true })
  execFileSync('tar', ['-xzf', join(folder, tarball), '-C', installed, '--strip-components=1'])
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')

  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) await link(join(CORE, 'node_modules', name), name)
  await link(join(ROOT, 'node_modules/@types/node'), '@types/node')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function link(target: string, name: string): Promise<void> {
  const path = join(folder, 'node_modules', name)
  await mkdir(join(path, '..'), { recursive: true })
  await rm(path, { force: true })
  await symlink(await realpath(target), path)
}

/** Runs a command in the folder. Its output is the result, and the message where it fails. */
function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(stdout + stderr)
  return stdout.trim()
}

/** Runs a program with plain Node: no TypeScript, no conditions. */
function node(program: string): string {
  return run(process.execPath, '--input-type=module', '-e', program)
}

test('the tarball holds what is needed and no tests', async () => {
  const files = (await readdir(installed, { recursive: true })).map((path) => path.replaceAll('\\', '/'))
  expect(files).toEqual(
    expect.arrayContaining(['LICENSE', 'dist/index.js', 'dist/index.d.ts', 'src/index.ts']),
  )
  expect(files.filter((path) => /\.test\.|node_modules|tsconfig/.test(path))).toEqual([])
})

test('the main entry works in plain Node without ioredis', () => {
  const program = `
    import { createLimiter, fixedWindow } from '@spillway/core'
    await import('ioredis').then(() => { throw new Error('ioredis is there') }, () => {})
    const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: '1m' }) })
    const decisions = [await limiter.check('key'), await limiter.check('key')]
    console.log(decisions.map(({ allowed }) => allowed).join())`
  expect(node(program)).toBe('true,false')
})

test.each(['ioredis', 'ioredis5'])('every entry loads and typechecks beside %s', async (client) => {
  await link(join(CORE, 'node_modules', client), 'ioredis')
  const { exports } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  const entries = Object.keys(exports).filter((path) => !path.endsWith('.json'))
  const specifiers = entries.map((path) => join('@spillway/core', path))
  node(specifiers.map((specifier) => `import '${specifier}'`).join('\n'))

  const consumer = `
    ${specifiers.map((specifier, index) => `import * as entry${index} from '${specifier}'`).join('\n')}
    import { createLimiter, fixedWindow } from '@spillway/core'
    import { redisStore } from '@spillway/core/redis'
    import { Redis } from 'ioredis'
    const store = redisStore(new Redis({ lazyConnect: true }))
    const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: '1m' }), store })
    const allowed: boolean = (await limiter.check('key')).allowed
    // @ts-expect-error: a decision is not any
    const wrong: string = await limiter.check('key')
    console.log(${specifiers.map((_, index) => `entry${index}`).join()}, allowed, wrong)`
  await writeFile(join(folder, 'consumer.ts'), consumer)
  const strict = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node']
  run(tool('tsc'), ...strict, 'consumer.ts')
})
