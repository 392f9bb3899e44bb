import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Result } from './result.ts'
import { tables } from './tables.ts'
import { PAGE, RESULTS, withTables } from './write.ts'

const committed = ['grid', 'beyond'].flatMap(
  (name) => JSON.parse(readFileSync(`${RESULTS}${name}.json`, 'utf8')) as Result[],
)

test('the page shows the results that lie beside it', () => {
  const page = readFileSync(PAGE, 'utf8')
  expect(withTables(page, tables(committed))).toBe(page)
})

test('a table takes the place of what was between its markers', () => {
  const page = 'before\n\n<!-- one -->\nold\n<!-- /one -->\n\nafter\n'
  const once = withTables(page, new Map([['one', 'new']]))
  expect(once).toBe('before\n\n<!-- one -->\n\nnew\n\n<!-- /one -->\n\nafter\n')
  expect(withTables(once, new Map([['one', 'new']]))).toBe(once)
  expect(() => withTables(page, new Map([['two', 'new']]))).toThrow('<!-- two -->')
})
