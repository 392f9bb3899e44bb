import { connect } from 'node:net'
import { startRedis } from '@spillway/redis-server'
import { expect, it } from 'vitest'
import type { Result } from '../src/demo.ts'
import { expectTrueCounts } from './expectations.ts'
import { runDemo } from './run-demo.ts'

const quick = ['--json', '--nodes', '3', '--seconds', '0.5']

it('replays the shipped trace over node processes that share a Redis of the demo’s own', async () => {
  const { code, stdout, stderr } = await runDemo(quick)
  expect(code, stderr).toBe(0)
  const result: Result = JSON.parse(stdout)
  expect(result.store.kind).toBe('redis')
  await expectTrueCounts(result)

  const [, port] = /redis:\/\/127\.0\.0\.1:(\d+), started for the demo/.exec(result.store.description)!
  expect(await listensOn(Number(port))).toBe(false)
  expect(pidsIn(stderr).filter(lives)).toEqual([])
})

it('uses the Redis that it is given, and keeps its password to itself', async () => {
  await using redis = await startRedis({ password: 'secret' })
  const { code, stdout, stderr } = await runDemo([...quick, '--redis', redis.url, '--seed', '2'])
  expect(code, stderr).toBe(0)
  expect(stdout + stderr).not.toContain('secret')
  await expectTrueCounts(JSON.parse(stdout))
})

it('ends with an error when a node dies', async () => {
  const { code, stdout, stderr } = await runDemo(
    ['--nodes', '2'],
    once(/hard: 25 %/, (stderr) => {
      process.kill(pidsIn(stderr)[1]!, 'SIGKILL')
    }),
  )
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/spillway demo: node 2 died \(SIGKILL\)\n$/)
  expect(pidsIn(stderr).filter(lives)).toEqual([])
})

it('ends with an error when Redis goes away', async () => {
  await using redis = await startRedis()
  const { code, stdout, stderr } = await runDemo(
    ['--redis', redis.url, '--nodes', '2'],
    once(/hard: 25 %/, () => redis.kill()),
  )
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/spillway demo: [^\n]+\n$/)
})

it('leaves nothing behind when it is interrupted', async () => {
  const { code, stdout, stderr } = await runDemo(
    ['--nodes', '2'],
    once(/hard: 25 %/, (_, demo) => demo.kill('SIGINT')),
  )
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
  expect(stderr).toContain('spillway demo: interrupted by SIGINT\n')
  expect(pidsIn(stderr)).toHaveLength(2)
  expect(pidsIn(stderr).filter(lives)).toEqual([])
})

/** Acts the first time that stderr has this in it. */
function once<T>(pattern: RegExp, act: (stderr: string, demo: T) => void): (stderr: string, demo: T) => void {
  let acted = false
  return (stderr, demo) => {
    if (acted || !pattern.test(stderr)) return
    acted = true
    act(stderr, demo)
  }
}

function pidsIn(stderr: string): number[] {
  return /started node processes (.*)/.exec(stderr)![1]!.split(', ').map(Number)
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function listensOn(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
