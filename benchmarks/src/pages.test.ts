import { expect, test } from 'vitest'
import { pageAt, pages } from './pages.ts'
import { questions } from './questions.ts'

test('the tables and the plot of the pages are those of the results', async () => {
  for (const [path, text] of await pages()) expect(pageAt(path), path).toBe(text)
})

test('each question has its tables, its machine and its commit on a page', async () => {
  const all = (await pages()).map(([, text]) => text).join('')
  const untold = questions.filter(({ name }) => !all.includes(`<!-- benchmarks: ${name} -->`))
  expect(untold.map(({ name }) => name)).toEqual([])
})
