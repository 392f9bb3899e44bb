import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { growthPlot } from './growth-plot.ts'
import { planTable } from './plan.ts'
import { questions } from './questions.ts'
import { readResults } from './result.ts'
import { peerTable, section, targetsReached, targetTable, withSection } from './tables.ts'

const PAGES = ['README.md', 'docs/performance.md', 'docs/scaling.md']

const PLOT = 'docs/images/growth.svg'

/** Writes the results' tables into the pages, where their markers are, and the plot. */
export async function writePages(): Promise<void> {
  const order = questions.map(({ name }) => name)
  const results = readResults().sort((a, b) => order.indexOf(a.question) - order.indexOf(b.question))
  const cost = results.find(({ question }) => question === 'redis-cost')
  const grown = results.find(({ question }) => question === 'growth')
  if (grown !== undefined) writeFileSync(inRepository(PLOT), `${await growthPlot(grown)}\n`)
  for (const path of PAGES) {
    const file = inRepository(path)
    let page = readFileSync(file, 'utf8')
    page = withSection(page, 'benchmarks: peer', `${peerTable(results)}\n\n${targetsReached(results)}`)
    page = withSection(page, 'benchmarks: targets', targetTable(results))
    if (cost !== undefined) page = withSection(page, 'plan', planTable(cost))
    for (const result of results) {
      const plot =
        result === grown ? '\n\n![The cost of a check over keys, nodes and limits](images/growth.svg)' : ''
      page = withSection(page, `benchmarks: ${result.question}`, section(result) + plot)
    }
    writeFileSync(file, page)
  }
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}
