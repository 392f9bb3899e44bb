import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { growthPlot } from './growth-plot.ts'
import { planTable } from './plan.ts'
import { questions } from './questions.ts'
import { type Result, readResults } from './result.ts'
import { peerTable, section, targetsReached, targetTable, withSection } from './tables.ts'

const PAGES = ['README.md', 'docs/performance.md', 'docs/scaling.md']

const PLOT = 'docs/images/growth.svg'

/** Writes the results' tables into the pages, where their markers are, and the plot. */
export async function writePages(): Promise<void> {
  for (const [path, text] of await pages()) writeFileSync(inRepository(path), text)
}

/** Each page's path and its text, with the tables of the results that there are; and the plot's. */
export async function pages(): Promise<[path: string, text: string][]> {
  const order = questions.map(({ name }) => name)
  const results = readResults().sort((a, b) => order.indexOf(a.question) - order.indexOf(b.question))
  const written = PAGES.map((path): [string, string] => [path, withTables(pageAt(path), results)])
  const grown = results.find(({ question }) => question === 'growth')
  return grown === undefined ? written : [...written, [PLOT, `${await growthPlot(grown)}\n`]]
}

/** The page with all tables of the results for which it has markers. */
function withTables(before: string, results: readonly Result[]): string {
  let page = withSection(before, 'benchmarks: peer', `${peerTable(results)}\n\n${targetsReached(results)}`)
  page = withSection(page, 'benchmarks: targets', targetTable(results))
  for (const result of results) {
    const { question } = result
    if (question === 'redis-cost') page = withSection(page, 'plan', planTable(result))
    const plot =
      question === 'growth' ? '\n\n![The cost of a check over keys, nodes and limits](images/growth.svg)' : ''
    page = withSection(page, `benchmarks: ${question}`, section(result) + plot)
  }
  return page
}

/** The text of a page as it is. */
export function pageAt(path: string): string {
  return readFileSync(inRepository(path), 'utf8')
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}
