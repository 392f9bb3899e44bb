import type { Outcome, Verdict } from './judge.ts'
import type { Measured } from './measured.ts'
import { LIMIT } from './tracks.ts'

const BEGIN = '<!-- Measured by `npm run chaos`; everything up to the end mark is written by it. -->'
const END = '<!-- End of what was measured. -->'

/** The tracks of the table: each mode with its default for outages. */
const COLUMNS = [
  { track: 'hard deny', title: '`hard`' },
  { track: 'soft local', title: '`soft`' },
  { track: 'capped deny', title: '`soft`, `maxOvershoot`' },
  { track: 'leased deny', title: '`leased`' },
]

/** The page with its measured part replaced. @throws Error where the page has no marks for it */
export function withMeasurements(page: string, measured: Measured): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`docs/failures.md needs the lines ${BEGIN} and ${END}`)
  return `${page.slice(0, begin)}${BEGIN}\n\n${measurements(measured)}\n${page.slice(end)}`
}

function measurements(measured: Measured): string {
  return [
    `Measured on ${measured.date.slice(0, 10)} with ${measured.machine}.`,
    '',
    '### Fault by mode',
    '',
    ...faults(measured.verdicts),
    '',
    '### Load',
    '',
    ...table(
      ['load', 'figures', 'held'],
      measured.load.map(({ title, figures, claims }) => [
        title,
        Object.entries(figures)
          .map(([what, number]) => `${what} ${Math.round(number).toLocaleString('en')}`)
          .join(', '),
        mark(claims.every(({ holds }) => holds)),
      ]),
    ),
    '',
    '### Servers, clients and Nodes',
    '',
    'Ten faults each: nothing, SCRIPT FLUSH, cut connections, CLIENT PAUSE, SIGSTOP, FLUSHALL, a slow script, a clock',
    'that jumps, a blocked event loop, a killed server.',
    '',
    ...table(
      ['server', 'client', 'given as', 'access', 'Node', 'held'],
      measured.smoke.map(({ setting, nodeVersion, verdicts }) => [
        setting.server,
        setting.client,
        setting.how === 'url' ? 'URL' : setting.how === 'cluster' ? '`Cluster`' : '`Redis`',
        setting.access ?? '–',
        nodeVersion,
        `${verdicts.filter(({ holds }) => holds).length} of ${verdicts.length}`,
      ]),
    ),
    '',
  ].join('\n')
}

function faults(verdicts: readonly Verdict[]): string[] {
  const columns = COLUMNS.filter(({ track }) =>
    verdicts.some(({ outcomes }) => outcomes.some((outcome) => outcome.track === track)),
  )
  const head = ['fault', ...columns.map(({ title }) => title), 'longest check', 'back after', 'held']
  return table(
    head,
    verdicts.map((verdict) => [
      verdict.title,
      ...columns.map(({ track }) => cell(verdict.outcomes.find((outcome) => outcome.track === track))),
      `${Math.round(Math.max(...verdict.outcomes.map(({ longestCheck }) => longestCheck)))} ms`,
      verdict.recoveredAfterMs === undefined ? 'never' : `${(verdict.recoveredAfterMs / 1000).toFixed(1)} s`,
      mark(verdict.holds),
    ]),
  )
}

/** What callers saw while it lasted; then what of the counts was kept. */
function cell(outcome: Outcome | undefined): string {
  if (outcome === undefined) return '–'
  const { during, difference, booked, expired, uncertain, overshoot } = outcome
  const { checks, denied, admitted, admittedInOutage } = during
  const byRule = admittedInOutage + (denied.outage ?? 0) + sum(Object.values(during.thrown))
  const share = (count: number) => `${Math.round((100 * count) / Math.max(1, checks))} %`
  const seen = [`${share(admitted)} admitted`]
  if (byRule > 0) seen.push(`${share(byRule)} by the outage rule`)
  const kept = [
    difference === 0
      ? 'all counted'
      : difference < 0
        ? `${-difference} lost`
        : `${difference} more counted than admitted`,
  ]
  if (booked > 0) kept.push(`${booked} booked for killed nodes`)
  if (expired > 0) kept.push(`${expired} expired`)
  if (uncertain > 0) kept.push(`${uncertain} uncertain`)
  if (overshoot > 0) kept.push(`${Math.round((100 * overshoot) / LIMIT)} % over the limit`)
  return `${seen.join(', ')}; ${kept.join(', ')}`
}

function mark(holds: boolean): string {
  return holds ? 'yes' : '**no**'
}

/** Aligned, as the formatter wants it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[], fill = ' ') =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] as number, fill)).join(' | ')} |`
  return [
    line(head),
    line(
      head.map(() => ''),
      '-',
    ),
    ...rows.map((row) => line(row)),
  ]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
