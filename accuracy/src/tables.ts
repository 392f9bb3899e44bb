import { markdownTable } from 'markdown-table'
import { percent } from './line.ts'
import { roundTrip, scenarioOf } from './measure.ts'
import type { Result } from './result.ts'
import { grid, type Scenario } from './scenarios.ts'
import { misses } from './targets.ts'
import { type VariantName, variantNames, variants } from './variants.ts'

/** The tables of the page, by their markers. */
export function tables(cells: readonly Result[]): Map<string, string> {
  const onGrid = cells.filter((cell) => grid.includes(scenarioOf(cell)))
  const beyond = cells.filter((cell) => !grid.includes(scenarioOf(cell)))
  return new Map([
    ['grid', overshootTable(onGrid.filter(isFixedWindow), meanAndMax)],
    [
      'algorithms',
      overshootTable(
        onGrid.filter((cell) => !isFixedWindow(cell)),
        meanAndMax,
      ),
    ],
    ['first', overshootTable(onGrid, ({ report }) => percent(report.overshoot.first))],
    ['cost', costTables(onGrid)],
    ['beyond', overshootTable(beyond, meanAndMax)],
    ['beyond-cost', costTables(beyond)],
    ['missed', missedList(cells)],
  ])
}

function meanAndMax({ report: { overshoot } }: Result): string {
  return `${percent(overshoot.mean)} / ${percent(overshoot.max)}`
}

function isFixedWindow({ algorithm }: Result): boolean {
  return algorithm === 'fixed-window'
}

function variantsIn(cells: readonly Result[]): VariantName[] {
  return variantNames.filter((name) => cells.some(({ variant }) => variant === name))
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const align = head.map((_, place) => (place === 0 ? 'l' : 'r'))
  return markdownTable(
    [head, ...lines].map((line) => [...line]),
    { align },
  )
}

/** A line for each scenario and algorithm, a column for each variant. */
function overshootTable(cells: readonly Result[], text: (cell: Result) => string): string {
  const there = variantsIn(cells)
  const lines = new Map<string, string[]>()
  for (const cell of cells) {
    const line = lines.get(titleOf(cell)) ?? there.map(() => '')
    line[there.indexOf(cell.variant)] = text(cell)
    lines.set(titleOf(cell), line)
  }
  return table(
    ['', ...there.map((name) => variants[name].title)],
    [...lines].map(([title, line]) => [title, ...line]),
  )
}

/** A table for each variant, a line for each scenario and algorithm. */
function costTables(cells: readonly Result[]): string {
  const head = [
    '',
    'used',
    'of possible',
    'false denials',
    'excess denials',
    'calls',
    'entries',
    'waited',
    'wait p99',
    'longest',
  ]
  return variantsIn(cells)
    .map((name) => {
      const lines = cells.filter(({ variant }) => variant === name).map(costLine)
      return `### ${variants[name].title}\n\n${table(head, lines)}`
    })
    .join('\n\n')
}

function costLine(cell: Result): string[] {
  const { report } = cell
  const trips = (ms: number) => (ms / roundTrip(scenarioOf(cell))).toFixed(1)
  const { share, shareOfPossible, falseDenials, excessDenials, callsPerCheck, entriesPerCheck, waits } =
    report
  const parts = [share, shareOfPossible, falseDenials, excessDenials, callsPerCheck, entriesPerCheck]
  return [titleOf(cell), ...[...parts, waits.part].map(percent), ...[waits.p99, waits.longest].map(trips)]
}

function titleOf(cell: Result): string {
  const scenario = scenarioOf(cell)
  const title = grid.includes(scenario) ? `${scenario.id}: ${numbers(scenario)}` : scenario.title
  return isFixedWindow(cell) ? title : `${scenario.id}: ${cell.algorithm.replace('-', ' ')}`
}

function numbers({ nodes, interval, window, limit, load, weights }: Scenario): string {
  const time = (ms: number) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`)
  const shares = weights === undefined ? '' : ' with Zipf shares'
  return `${nodes} nodes${shares}, interval ${time(interval)}, ${limit.toLocaleString('en')} per ${time(window)}, load ${load}×`
}

function missedList(cells: readonly Result[]): string {
  const missed = cells.flatMap((cell) =>
    misses(cell).map((miss) => `- ${variants[cell.variant].title}, ${titleOf(cell)}: ${miss}`),
  )
  return missed.length === 0 ? 'None.' : missed.join('\n')
}
