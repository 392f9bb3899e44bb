import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { withMeasurements } from './failures-page.ts'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

test('docs/failures.md says what chaos/results say', () => {
  const page = readFileSync(at('docs/failures.md'), 'utf8')
  const [chaos, soak] = ['chaos', 'soak'].map((name) =>
    JSON.parse(readFileSync(at(`chaos/results/${name}.json`), 'utf8')),
  )
  expect(withMeasurements(page, chaos, soak)).toBe(page)
})

test('a page without a place for the measurements is refused', () => {
  expect(() => withMeasurements('# Failures', JSON.parse('{}'), JSON.parse('{}'))).toThrow(
    'docs/failures.md needs the lines',
  )
})
