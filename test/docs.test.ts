import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runSnippet, typecheck, writeProgram } from './docs/check.ts'
import { brokenLinks } from './docs/links.ts'
import { type Snippet, snippetsOf } from './docs/snippet.ts'
import { ROOT, repositoryFiles } from './repository.ts'

const pages = repositoryFiles(/\.md$/)
const sources = repositoryFiles(/^(packages|tools)\/[^/]+\/src\/.*(?<!\.test|\.d)\.ts$/)

test.each(pages)('%s has no broken links', (page) => {
  expect(brokenLinks(page)).toEqual([])
})

test('the lines of a snippet are told as its file has them', async () => {
  for (const { place, path, line, code } of [...pages, ...sources].flatMap(snippetsOf)) {
    const lines = (await readFile(join(ROOT, path), 'utf8')).split('\n')
    code.split('\n').forEach((text, row) => {
      expect(lines[line - 1 + row], place).toContain(text.trim())
    })
  }
})

test('each recipe is ten lines, and what the tests ask of it', async () => {
  const recipes = (await readFile(join(ROOT, 'docs/recipes.md'), 'utf8')).match(/^## /gm)
  const snippets = snippetsOf('docs/recipes.md')
  expect(snippets.map(({ goesOn }) => goesOn)).toEqual(recipes!.flatMap(() => [false, true]))
  for (const { place, code, goesOn } of snippets) {
    const lines = code.split('\n').filter((line) => line.trim() !== '')
    expect(Math.max(...lines.map(({ length }) => length)), place).toBeLessThanOrEqual(110)
    if (!goesOn) expect(lines.length, place).toBeLessThanOrEqual(10)
  }
})

describe.concurrent('snippet', () => {
  const snippets = [...pages, ...sources].flatMap(snippetsOf)
  const inTurn = pLimit(2)
  let folder: string
  let complaints: Map<Snippet, string>

  beforeAll(async () => {
    await mkdir(join(ROOT, '.tmp'), { recursive: true })
    folder = await mkdtemp(join(ROOT, '.tmp/snippets-'))
    await Promise.all(snippets.map((snippet) => writeProgram(snippet, folder)))
    complaints = await typecheck(snippets, folder)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('are there', ({ expect }) => {
    expect(snippets.map(({ path }) => path)).toContain('README.md')
  })

  for (const snippet of snippets) {
    test(snippet.place, async ({ expect }) => {
      expect(complaints.get(snippet) ?? '').toBe('')
      if (snippet.runs) await inTurn(() => runSnippet(snippet, folder))
    })
  }
})
