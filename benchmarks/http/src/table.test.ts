import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DOCS, RESULTS } from './paths.ts'
import type { Result } from './result.ts'
import { costSection, withCostSection } from './table.ts'

const slices = (...requestsPerSecond: number[]) =>
  requestsPerSecond.map((each) => ({ requestsPerSecond: each, cpuMicrosecondsPerRequest: 1e6 / each }))

it('compares slice by slice, and takes the median', () => {
  const result: Result = {
    date: '2026-01-02T03:04:05Z',
    machine: { cpu: 'a CPU', cpus: 2, node: '20.20.2', system: 'Linux' },
    load: { connections: 64, warmUpSeconds: 1, sliceSeconds: 1, slices: 3 },
    rounds: 1,
    versions: { fastify: '5.0.0', '@fastify/rate-limit': '11.0.0' },
    contenders: [
      { framework: 'fastify', limit: 'none', slices: slices(1000, 20_000, 10_000) },
      { framework: 'fastify', limit: 'some', slices: slices(900, 19_000, 9_800) },
    ],
  }
  const section = costSection(result)
  const cells = section.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  expect(cells[2]).toEqual(['', 'fastify 5.0.0', 'none', '10,000', '100.0 %', '100.0 µs', ''])
  expect(cells[3]).toEqual(['', 'fastify 5.0.0', 'some', '9,800', '95.0 %', '102.0 µs', ''])
  expect(section).toContain('Medians over 3 slices of 1 s with 64 connections')
  expect(section).toContain('@fastify/rate-limit 11.0.0; Node 20.20.2, 2 × a CPU, 2026-01-02')
})

it('the docs show the result that is committed', () => {
  const page = readFileSync(DOCS, 'utf8')
  const result = JSON.parse(readFileSync(RESULTS, 'utf8')) as Result
  expect(withCostSection(page, costSection(result))).toBe(page)
})
