import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { networkFaults } from './faults/network.ts'
import { nodeFaults } from './faults/node.ts'
import { serverFaults } from './faults/server.ts'
import { loadFaults } from './load/load-faults.ts'
import { settings } from './smoke/setting.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')
/** Each claim from its dash to the next one's. */
const lines = page.split(/\n(?=- |## )/).filter((part) => part.startsWith('- '))
const cases = [...serverFaults, ...networkFaults, ...nodeFaults, ...loadFaults, ...settings].map(
  ({ name }) => name,
)

test('the page has its claims', () => {
  expect(lines.length).toBeGreaterThan(20)
})

test.each(lines.map((line) => [line.slice(2, 60).replace(/\s+/g, ' '), line]))(
  '%s… names what shows it',
  (_, line) => {
    const tests = [...line.matchAll(/\]\(([^)]+\.test\.ts)\)/g)].map(([, path]) => path as string)
    expect(tests.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
    const patterns = [...line.matchAll(/--only '?([^'`]+)'?`/g)].map(([, pattern]) => pattern as string)
    expect(patterns.filter((pattern) => !cases.some((name) => new RegExp(pattern).test(name)))).toEqual([])
    expect(tests.length + patterns.length).toBeGreaterThan(0)
  },
)
