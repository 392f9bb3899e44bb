import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createLimiter, fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { afterAll, expect, inject, it } from 'vitest'

const NODES = 8
const LIMIT = 2000
const processes: ChildProcess[] = []

afterAll(() => {
  for (const process of processes) process.kill()
})

interface Report {
  admitted: number
  pending: number
  most: number
  stretch: number
}

function start(argument: string) {
  const file = fileURLToPath(new URL('./soft-node.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    ['--conditions', '@spillway/source', '--import', 'tsx', file, argument],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  processes.push(child)
  return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() }
}

it('keeps 8 processes within the soft bound, and counts each admission exactly once', async () => {
  const url = inject('redisUrl')
  const name = `soft-processes-${process.pid}`
  const numbers = { url, name, limit: LIMIT, checks: 1500, rate: 500, interval: 100 }
  const nodes = Array.from({ length: NODES }, () => start(JSON.stringify(numbers)))
  for (const { lines } of nodes) expect(await lines.next()).toMatchObject({ value: 'ready' })
  for (const { child } of nodes) child.stdin?.write('go\n')
  const reports = await Promise.all(
    nodes.map(async ({ child, lines }): Promise<Report> => {
      const { value } = await lines.next()
      if (child.exitCode === null) await once(child, 'exit')
      expect(child.exitCode).toBe(0)
      return JSON.parse(value)
    }),
  )
  const admitted = reports.reduce((sum, report) => sum + report.admitted, 0)
  const terms = reports.map(({ most }) => Math.min(most, LIMIT)).sort((one, other) => one - other)
  expect(admitted).toBeGreaterThanOrEqual(LIMIT)
  expect(admitted).toBeLessThanOrEqual(LIMIT + terms.slice(1).reduce((sum, term) => sum + term, 0))

  const store = redisStore(url)
  // a limit above what can have been admitted, so that what remains tells all
  const hard = createLimiter({
    name,
    store,
    limit: fixedWindow({ limit: 1_000_000, window: '1h' }),
    timeout: '2s',
  })
  expect(1_000_000 - 1 - (await hard.peek('key')).remaining).toBe(admitted)
  for (const { pending } of reports) expect(pending).toBe(0)
  await hard.close()
  await store.close()
}, 30_000)
