import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { measureAll } from './workers.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

function run(...args: string[]) {
  const node = ['--conditions', '@spillway/source', '--import', 'tsx', main]
  return spawnSync(process.execPath, [...node, ...args], { encoding: 'utf8' })
}

test('one cell is one line, and misses nothing where there is no target', () => {
  const { stdout, status } = run('--row', '1', '--variant', 'baseline', '--seeds', '2', '--windows', '3')
  const [cell, sum, ...more] = stdout.trim().split('\n')
  expect(cell).toMatch(/^1 fixed-window baseline +over % mean 1\d\.\d max \d\d\.\d/)
  expect(sum).toMatch(/^2 runs in /)
  expect(more).toEqual([])
  expect(status).toBe(0)
})

test('what it does not understand is told in one line', () => {
  const { stderr, status } = run('--row', '0')
  expect(stderr).toMatch(/^spillway accuracy: --row takes .*not '0'\n$/)
  expect(status).toBe(2)
})

test('a process that dies is not waited for', async () => {
  const job = { scenario: 'none', algorithm: 'fixed-window', variant: 'hard', seed: 1, windows: 2 } as const
  await expect(
    measureAll(
      [job],
      () => 1,
      1,
      () => {},
    ),
  ).rejects.toThrow('died')
})
