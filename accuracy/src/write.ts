import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { scenarioOf } from './measure.ts'
import type { Result } from './result.ts'
import { grid } from './scenarios.ts'
import { tables } from './tables.ts'

export const RESULTS = fileURLToPath(new URL('../results/', import.meta.url))
const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url))
export const PAGE = fileURLToPath(new URL('../../docs/accuracy.md', import.meta.url))

/** Writes the results as JSON, and their tables into the page. */
export async function write(cells: readonly Result[]): Promise<void> {
  await mkdir(RESULTS, { recursive: true })
  const isGrid = (cell: Result) => grid.includes(scenarioOf(cell))
  await writeFile(`${RESULTS}grid.json`, json(cells.filter(isGrid)))
  await writeFile(`${RESULTS}beyond.json`, json(cells.filter((cell) => !isGrid(cell))))
  await writeFile(PAGE, withTables(await readFile(PAGE, 'utf8'), tables(cells)))
}

/** Writes one table into the page, and what it was made of as JSON. */
export async function writeTable(name: string, table: string, source: object): Promise<void> {
  await writeFile(`${RESULTS}${name}.json`, `${JSON.stringify(source, null, 2)}\n`)
  await writeFile(PAGE, withTables(await readFile(PAGE, 'utf8'), new Map([[name, table]])))
}

/** Writes a plot for the docs, and its points as JSON. */
export async function writePlot(name: string, svg: string, points: readonly object[]): Promise<void> {
  await mkdir(IMAGES, { recursive: true })
  await writeFile(`${RESULTS}${name}.json`, `${JSON.stringify(points, null, 2)}\n`)
  await writeFile(`${IMAGES}${name}.svg`, `${svg}\n`)
}

/** The results that were written last. */
export async function written(): Promise<Result[]> {
  const files = await Promise.all(
    ['grid.json', 'beyond.json'].map((file) => readFile(`${RESULTS}${file}`, 'utf8')),
  )
  return files.flatMap((file) => JSON.parse(file) as Result[])
}

function json(cells: readonly Result[]): string {
  return `${JSON.stringify(cells, null, 2)}\n`
}

/** The page with each table between its markers. @throws if a marker is missing */
export function withTables(page: string, generated: ReadonlyMap<string, string>): string {
  for (const [name, table] of generated) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const [from, to] = [page.indexOf(begin), page.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`docs/accuracy.md lacks the markers ${begin} … ${end}`)
    page = `${page.slice(0, from)}${begin}\n\n${table}\n\n${page.slice(to)}`
  }
  return page
}
