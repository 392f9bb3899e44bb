import { expect, test } from 'vitest'
import { pageAt, pages } from './pages.ts'
import { questions } from './questions.ts'

test('the tables and the plot of the pages are those of the results', async () => {
  for (const [path, text] of await pages()) expect(pageAt(path), path).toBe(text)
})

test('each question has its tables, its machine and its commit on a page', async () => {
  const all = (await pages()).map(([, text]) => text).join('')
  const untold = questions.filter(({ name }) => {
    const from = all.indexOf(`<!-- benchmarks: ${name} -->`)
    const to = all.indexOf(`<!-- /benchmarks: ${name} -->`)
    return from < 0 || !/, commit \w+, Node /.test(all.slice(from, Math.max(from, to)))
  })
  expect(untold.map(({ name }) => name)).toEqual([])
})
