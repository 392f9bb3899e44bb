import { expect, test } from 'vitest'
import { readArguments } from './arguments.ts'
import { jobsFor, size } from './jobs.ts'
import { beyond } from './scenarios.ts'

test('a full run has every row and scenario, rows 2 and 6 with every algorithm', () => {
  const jobs = jobsFor(readArguments(['--variant', 'baseline', '--seeds', '2']))
  const algorithmsOf = (id: string) => [
    ...new Set(jobs.filter(({ scenario }) => scenario === id).map(({ algorithm }) => algorithm)),
  ]
  for (const row of ['1', '3', '4', '5', '7', '8', ...beyond.map(({ id }) => id)])
    expect(algorithmsOf(row)).toEqual(['fixed-window'])
  for (const row of ['2', '6']) expect(algorithmsOf(row)).toHaveLength(5)
  expect(jobs).toHaveLength(2 * (6 + beyond.length + 2 * 5))
  expect(new Set(jobs.map((job) => JSON.stringify(job))).size).toBe(jobs.length)
})

test('a job is as large as the checks it makes', () => {
  const [job] = jobsFor(readArguments(['--row', '8', '--variant', 'hard']))
  expect(size(job!)).toBe(4_000_000)
})
