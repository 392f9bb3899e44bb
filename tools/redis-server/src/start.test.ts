import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from './index.ts'

function connect(url: string): Redis {
  const redis = new Redis(url, { retryStrategy: () => null })
  redis.on('error', () => {})
  onTestFinished(() => redis.disconnect())
  return redis
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('serves on loopback, in a folder of its own that goes with it', async () => {
  await using server = await startRedis()
  const redis = connect(server.url)
  expect(await redis.set('key', 'value')).toBe('OK')
  expect(await redis.config('GET', 'bind')).toEqual(['bind', '127.0.0.1'])
  const [, dir] = (await redis.config('GET', 'dir')) as [string, string]
  expect(existsSync(dir)).toBe(true)

  await server.stop()
  expect(existsSync(dir)).toBe(false)
  expect(isAlive(server.pid)).toBe(false)
})

test('starts again on the port, and with the data, of a server that was killed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-redis-test-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const args = ['--appendonly', 'yes', '--appendfsync', 'always']
  const first = await startRedis({ dir, args })
  await connect(first.url).set('key', 'value')
  first.kill()
  expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })

  await using second = await startRedis({ dir, args, port: first.port })
  expect(second.url).toBe(first.url)
  expect(await connect(second.url).get('key')).toBe('value')
})

test('asks for the password it was given', async () => {
  await using server = await startRedis({ password: 'hush' })
  expect(await connect(server.url).ping()).toBe('PONG')
  await expect(connect(server.url.replace(':hush@', '')).ping()).rejects.toThrow('NOAUTH')
})

test('stops a server that hangs', async () => {
  const server = await startRedis()
  server.kill('SIGSTOP')
  await server.stop()
  expect(isAlive(server.pid)).toBe(false)
})

test('says why a server did not start', async () => {
  await expect(startRedis({ args: ['--no-such-setting', '1'] })).rejects.toThrow('no-such-setting')
  await expect(startRedis({ binary: '/nowhere/redis-server' })).rejects.toThrow('ENOENT')
})

test('does not take another program on its port for its own server', async () => {
  await using other = await startRedis()
  await expect(startRedis({ port: other.port })).rejects.toThrow(/in use/i)
  expect(await connect(other.url).ping()).toBe('PONG')

  const silent = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  await expect(startRedis({ port })).rejects.toThrow(/in use/i)
})

test.each(['exit', 'SIGTERM', 'SIGKILL'])(
  'leaves nothing behind when its process ends by %s',
  async (how) => {
    const program = `
    import { startRedis } from ${JSON.stringify(new URL('index.ts', import.meta.url).href)}
    const { pid } = await startRedis()
    process.stdout.write(pid + '\\n')
    process.stdin.once('data', () => process.exit()).resume()`
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    expect(isAlive(pid)).toBe(true)

    if (how === 'exit') parent.stdin.write('now\n')
    else parent.kill(how as NodeJS.Signals)
    await vi.waitUntil(() => !isAlive(pid), { timeout: 30_000, interval: 10 })
  },
)
