import { expect, it } from 'vitest'
import type { Result } from '../src/demo.ts'
import { expectTrueCounts } from './expectations.ts'
import { runDemo } from './run-demo.ts'

it.concurrent('replays the shipped trace over nodes in memory, and prints nothing but JSON', async () => {
  const { code, stdout, stderr } = await runDemo(['--memory', '--json', '--seconds', '0.5'])
  expect(code, stderr).toBe(0)
  const result: Result = JSON.parse(stdout)
  expect(result.store.kind).toBe('memory')
  expect(result.trace).toMatchObject({ requests: 9_999, clients: 1_753, skipped: 0, cutShort: false })
  await expectTrueCounts(result)
})

it.concurrent('prints a table, and shows its progress on stderr', async () => {
  const { code, stdout, stderr } = await runDemo(['--memory', '--nodes=2', '--seconds=0.1'])
  expect(code, stderr).toBe(0)
  for (const column of [
    'offered',
    'admitted',
    'limit',
    'overshoot',
    'store calls',
    'per check',
    'p50',
    'p99',
  ]) {
    expect(stdout).toContain(column)
  }
  expect(stdout).toMatch(/│ hard │ site +│ +9,999 │ +5,000 │ +5,000 │ +0 \(0\.0 %\)/)
  // It waits for another window where this one would end before it does.
  const progress = stderr.replaceAll(/^the window is about to end: .*\n/gm, '')
  expect(progress).toMatch(/^hard: 0 %\n.*hard: 100 %\nsoft: 0 %\n.*soft: 100 %\n$/s)
})
