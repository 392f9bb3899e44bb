import { markdownTable } from 'markdown-table'
import { percent } from './line.ts'
import { scenarioOf } from './measure.ts'
import type { Result } from './result.ts'
import { beyond, grid, type Scenario } from './scenarios.ts'
import { type VariantName, variantNames, variants } from './variants.ts'

/** The tables of the page, by their markers. */
export function tables(cells: readonly Result[]): Map<string, string> {
  const there = variantNames.filter((name) => cells.some(({ variant }) => variant === name))
  const onGrid = cells.filter((cell) => grid.includes(scenarioOf(cell)))
  return new Map([
    ['grid', overshootTable(onGrid.filter(isFixedWindow), there)],
    [
      'algorithms',
      overshootTable(
        onGrid.filter((cell) => !isFixedWindow(cell)),
        there,
      ),
    ],
    ['cost', costTable(onGrid, there)],
    ['first', firstTable(onGrid, there)],
    [
      'beyond',
      beyondTable(
        cells.filter((cell) => beyond.includes(scenarioOf(cell))),
        there,
      ),
    ],
  ])
}

function isFixedWindow({ algorithm }: Result): boolean {
  return algorithm === 'fixed-window'
}

function table(head: readonly string[], rows: readonly string[][]): string {
  return markdownTable([[...head], ...rows], { align: head.map((_, place) => (place === 0 ? 'l' : 'r')) })
}

/** A line for each scenario and algorithm, with cells of each variant. */
function byVariant(
  cells: readonly Result[],
  there: readonly VariantName[],
  head: (title: string) => string[],
  part: (result: Result) => string[],
): string {
  const lines = new Map<string, string[]>()
  for (const cell of cells) {
    const title = `${titleOf(cell)}${isFixedWindow(cell) ? '' : `, ${cell.algorithm.replace('-', ' ')}`}`
    lines.set(title, [...(lines.get(title) ?? [title]), ...part(cell)])
  }
  return table(['', ...there.flatMap((name) => head(variants[name].title))], [...lines.values()])
}

function titleOf(cell: Result): string {
  const scenario = scenarioOf(cell)
  return grid.includes(scenario) ? `${scenario.id}: ${numbers(scenario)}` : scenario.title
}

function numbers({ nodes, interval, window, limit, load, weights }: Scenario): string {
  const ms = (time: number) => (time < 1000 ? `${time} ms` : `${time / 1000} s`)
  const shares = weights === undefined ? '' : ', Zipf'
  return `${nodes} nodes${shares}, each ${ms(interval)}, ${limit.toLocaleString('en')} per ${ms(window)}, load ${load}`
}

function overshootTable(cells: readonly Result[], there: readonly VariantName[]): string {
  return byVariant(
    cells,
    there,
    (title) => [`${title}: mean`, 'max'],
    ({ report: { overshoot } }) => [percent(overshoot.mean), percent(overshoot.max)],
  )
}

function costTable(cells: readonly Result[], there: readonly VariantName[]): string {
  return byVariant(
    cells,
    there,
    (title) => [`${title}: used`, 'calls', 'entries', 'false denials', 'waited', 'p99 wait'],
    ({ report }) => [
      percent(report.share),
      percent(report.callsPerCheck),
      percent(report.entriesPerCheck),
      percent(report.falseDenials),
      percent(report.waits.part),
      `${report.waits.p99.toFixed(1)} ms`,
    ],
  )
}

function firstTable(cells: readonly Result[], there: readonly VariantName[]): string {
  return byVariant(
    cells,
    there,
    (title) => [title],
    ({ report }) => [percent(report.overshoot.first)],
  )
}

function beyondTable(cells: readonly Result[], there: readonly VariantName[]): string {
  return byVariant(
    cells,
    there,
    (title) => [`${title}: mean`, 'max', 'of possible', 'false denials', 'entries', 'waited'],
    ({ report }) => [
      percent(report.overshoot.mean),
      percent(report.overshoot.max),
      percent(report.shareOfPossible),
      percent(report.falseDenials),
      percent(report.entriesPerCheck),
      percent(report.waits.part),
    ],
  )
}
