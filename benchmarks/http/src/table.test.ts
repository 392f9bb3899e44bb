import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DOCS, JAVASCRIPT_RESULTS, RESULTS } from './paths.ts'
import type { JavaScriptResult, Result } from './result.ts'
import { costSection, javaScriptSection, withSection } from './table.ts'

const slices = (...requestsPerSecond: number[]) =>
  requestsPerSecond.map((each) => ({ requestsPerSecond: each, cpuMicrosecondsPerRequest: 1e6 / each }))

it('compares means, and says between which numbers another run would lie', () => {
  const result: Result = {
    date: '2026-01-02T03:04:05Z',
    machine: { cpu: 'a CPU', cpus: 2, node: '20.20.2', system: 'Linux' },
    load: { connections: 64, warmUpSeconds: 1, sliceSeconds: 1, slices: 1 },
    rounds: 3,
    versions: { fastify: '5.0.0', '@fastify/rate-limit': '11.0.0' },
    contenders: [
      { framework: 'fastify', limit: 'none', slices: slices(1000, 20_000, 10_000) },
      { framework: 'fastify', limit: 'some', slices: slices(900, 19_000, 9_800) },
    ],
  }
  const section = costSection(result)
  const cells = section.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  expect(cells[2]).toEqual(['', 'fastify 5.0.0', 'none', '10,333', '100.0 %', '', '383.3 µs', ''])
  expect(cells[3]).toEqual(['', 'fastify 5.0.0', 'some', '9,900', '95.8 %', '90 to 98 %', '421.9 µs', ''])
  expect(section).toContain('Means over 3 slices of 1 s with 64 connections')
  expect(section).toContain('@fastify/rate-limit 11.0.0; Node 20.20.2, 2 × a CPU, 2026-01-02')
})

it('compares JavaScript turn by turn, and takes the median', () => {
  const section = javaScriptSection({
    date: '2026-01-02T03:04:05Z',
    machine: { cpu: 'a CPU', cpus: 2, node: '20.20.2', system: 'Linux' },
    requests: { express: 50 },
    versions: { express: '5.0.0', 'express-rate-limit': '8.0.0' },
    contenders: [
      { framework: 'express', limit: 'none', cpuMicroseconds: [50, 100, 80] },
      { framework: 'express', limit: 'some, by app.use', cpuMicroseconds: [60, 105, 88] },
    ],
  })
  const cells = section.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  expect(cells[3]).toEqual(['', 'express', 'some, by app.use', '88.0 µs', '110.0 %', ''])
  expect(section).toContain('CPU time over 3 turns of 50 (express) requests')
  expect(section).toContain(
    'on the route, but where it says `app.use`. express-rate-limit 8.0.0; Node 20.20.2',
  )
})

it('the docs show the results that are committed', () => {
  const page = readFileSync(DOCS, 'utf8')
  const result = JSON.parse(readFileSync(RESULTS, 'utf8')) as Result
  expect(withSection(page, 'cost', costSection(result))).toBe(page)
  const javaScript = JSON.parse(readFileSync(JAVASCRIPT_RESULTS, 'utf8')) as JavaScriptResult
  expect(withSection(page, 'javascript', javaScriptSection(javaScript))).toBe(page)
})
