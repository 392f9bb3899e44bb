import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT, tool } from './repository.ts'

// What is published is what gets tested here: the tarballs, installed outside the repository.

const CORE = join(ROOT, 'packages/core')
const HTTP = join(ROOT, 'packages/http')
let folder: string
let installed: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'spillway-package-')))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  installed = await install(CORE, '@spillway/core')
  await install(HTTP, '@spillway/http') // is built against what was built of the core just now
  await link(join(ROOT, 'node_modules/@types/node'), '@types/node')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Packs a package, unpacks it where Node looks for it, and links its dependencies. */
async function install(source: string, name: string): Promise<string> {
  const tarball = join(folder, `${name.replace('/', '-')}.tgz`)
  execFileSync(tool('pnpm'), ['pack', '--out', tarball], { cwd: source, stdio: 'pipe' })
  const target = join(folder, 'node_modules', name)
  await mkdir(target, { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'])
  const { dependencies } = JSON.parse(await readFile(join(target, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies ?? {})) await link(join(source, 'node_modules', name), name)
  return target
}

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

test('the adapters ask for the core that they are published with, whoever packs them', async () => {
  const manifest = async (source: string) => JSON.parse(await readFile(join(source, 'package.json'), 'utf8'))
  const [{ version }, { peerDependencies }] = [await manifest(CORE), await manifest(HTTP)]
  expect(peerDependencies['@spillway/core']).toBe(`^${version}`)
})

test('the tarball holds what is needed and no tests', async () => {
  const files = (await readdir(installed, { recursive: true })).map((path) => path.replaceAll('\\', '/'))
  expect(files).toEqual(
    expect.arrayContaining(['LICENSE', 'dist/index.js', 'dist/index.d.ts', 'src/index.ts']),
  )
  expect(files.filter((path) => /\.test\.|node_modules|tsconfig/.test(path))).toEqual([])
})

test('the core needs no other package, and hands on the licences of those that it has joined in', async () => {
  const entries = ['index', 'redis', 'testing'].map((entry) => join(installed, `dist/${entry}.js`))
  const { metafile } = await build({
    entryPoints: entries,
    ...{ bundle: true, packages: 'external', platform: 'node', format: 'esm' },
    ...{ write: false, outdir: folder, metafile: true },
  })
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path))
  expect(imports).not.toEqual([])
  expect(imports.filter((path) => !path.startsWith('node:'))).toEqual([])
  const licences = await readFile(join(installed, 'dist/LICENSES'), 'utf8')
  const names = [...licences.matchAll(/(?:^|-{80}\n\n)(\S+) \d/g)].map(([, name]) => name)
  expect(names).toEqual(['@lukeed/ms', 'lru-cache', 'p-limit', 'yocto-queue'])
})

test('source maps name no file that is not published, or hold what is in it', async () => {
  const files = (await readdir(installed, { recursive: true })).filter((path) => path.endsWith('.map'))
  expect(files).not.toEqual([])
  for (const file of files) {
    const map = JSON.parse(await readFile(join(installed, file), 'utf8'))
    const absent = map.sources.filter(
      (source: string, place: number) =>
        typeof map.sourcesContent?.[place] !== 'string' && !existsSync(join(installed, file, '..', source)),
    )
    expect(absent, file).toEqual([])
  }
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

test('a program that esbuild made CommonJS finds ioredis beside it, wherever it was started', async () => {
  await link(join(CORE, 'node_modules/ioredis'), 'ioredis')
  const bundle = join(folder, 'bundle.cjs')
  await build({
    stdin: {
      contents: `
        import { redisStore } from '@spillway/core/redis'
        redisStore('redis://127.0.0.1:1').close().then(() => console.log('found'))`,
      resolveDir: folder,
    },
    ...{ bundle: true, platform: 'node', format: 'cjs', outfile: bundle, logLevel: 'error' },
  })
  expect(spawnSync(process.execPath, [bundle], { cwd: tmpdir(), encoding: 'utf8' }).stdout).toBe('found\n')
})

test('the adapters of Express, Fastify, Koa, fetch and Node load without any framework', () => {
  const entries = ['', '/express', '/fastify', '/fetch', '/koa', '/node']
  node(entries.map((entry) => `import '@spillway/http${entry}'`).join('\n'))
})

test('every adapter loads and typechecks beside its framework', async () => {
  const frameworks = [
    'express',
    'fastify',
    'koa',
    'hono',
    '@nestjs/common',
    '@nestjs/core',
    'reflect-metadata',
  ]
  for (const name of [...frameworks, 'rxjs', '@types/express', '@types/koa']) {
    await link(join(HTTP, 'node_modules', name), name)
  }
  const consumer = `
    import { createLimiter, fixedWindow } from '@spillway/core'
    import { byAddress, byUser, firstOf } from '@spillway/http'
    import * as onExpress from '@spillway/http/express'
    import * as onFastify from '@spillway/http/fastify'
    import * as onFetch from '@spillway/http/fetch'
    import * as onHono from '@spillway/http/hono'
    import * as onKoa from '@spillway/http/koa'
    import * as onNest from '@spillway/http/nest'
    import * as onNode from '@spillway/http/node'
    import { createServer } from 'node:http'
    import { createServer as createServer2, type Http2ServerRequest } from 'node:http2'
    import express, { type Request } from 'express'
    import fastify from 'fastify'
    import { Hono } from 'hono'
    import Koa from 'koa'
    const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: '1m' }) })
    const key = firstOf(byUser((request: Request) => request.get('x-user')), byAddress())
    express().use(onExpress.rateLimit({ limiter, key }))
    fastify().register(onFastify.rateLimit, { limiter, key: ({ ip }) => ip })
    new Koa().use(onKoa.rateLimit({ limiter, cost: (context) => context.length ?? 1 }))
    new Hono().use(onHono.rateLimit({ limiter, skip: (context) => context.req.path === '/health' }))
    onNest.RateLimitModule.forRoot({ limiter })
    createServer(onNode.rateLimit({ limiter, key: byAddress() })((request, response) => response.end(request.statusMessage)))
    createServer2(onNode.rateLimit<Http2ServerRequest>({ limiter, key: ({ authority }) => authority })(
      (request, response) => response.end(request.authority, () => response.stream.close()),
    ))
    onFetch.rateLimit({ limiter, trustProxy: 1 })(() => new Response('hello'))
    // @ts-expect-error: a request of HTTP/1 has no stream
    onNode.rateLimit({ limiter })((request, response) => response.end(request.stream))
    // @ts-expect-error: this one is no any
    onNode.rateLimit<Http2ServerRequest>({ limiter, key: (request) => request.nothing })
    // @ts-expect-error: what is made for HTTP/1 does not get requests of HTTP/2
    createServer2(onNode.rateLimit({ limiter })((_, response) => response.end()))
    // @ts-expect-error: there is no such style
    export const wrong = () => onNode.rateLimit({ limiter, headers: 'draft-1' })`
  await writeFile(join(folder, 'adapters.ts'), consumer)
  const strict = [
    '--strict',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--types',
    'node',
    '--skipLibCheck',
  ]
  run(tool('tsc'), ...strict, '--outDir', 'compiled', 'adapters.ts')
  run(process.execPath, '--input-type=module', '-e', "import './compiled/adapters.js'")
})
