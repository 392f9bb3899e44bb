import type { Outcome, Verdict } from './judge.ts'
import type { Measured, Soak } from './measured.ts'
import { LIMIT } from './tracks.ts'

const BEGIN =
  '<!-- Measured by `npm run chaos` and `npm run soak`, which write everything up to the end mark. -->'
const END = '<!-- End of what was measured. -->'

/** The tracks of the table: each mode with its default for outages. */
const COLUMNS = [
  { track: 'hard deny', title: '`hard`' },
  { track: 'soft local', title: '`soft`' },
  { track: 'capped deny', title: '`soft`, `maxOvershoot`' },
  { track: 'leased deny', title: '`leased`' },
]

/** The page with its measured part replaced. @throws Error if the page has no marks for it */
export function withMeasurements(page: string, measured: Measured, soak: Soak): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`docs/failures.md needs the lines ${BEGIN} and ${END}`)
  return `${page.slice(0, begin)}${BEGIN}\n\n${[...measurements(measured), ...soaked(soak)].join('\n')}\n${page.slice(end)}`
}

function measurements(measured: Measured): string[] {
  const all = [...measured.verdicts, ...measured.smoke, ...measured.load.map(({ claims }) => ({ claims }))]
  const failed = measured.failed.map((name) => `_${name}_`)
  return [
    `Measured by \`npm run chaos\` on ${measured.date.slice(0, 10)} with ${measured.machine}: ${all.length - failed.length} of`,
    `${all.length} cases held${failed.length > 0 ? `, not ${failed.join(', ')}` : ''}.`,
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
  ]
}

function soaked({ date, machine, minutes, every, rounds }: Soak): string[] {
  const names = [...new Set(rounds.map(({ fault }) => fault))].sort()
  const held = rounds.filter(({ verdict }) => verdict.holds).length
  const longest = (its: Soak['rounds']) =>
    Math.max(...its.flatMap(({ verdict }) => verdict.outcomes.map(({ longestCheck }) => longestCheck)))
  return [
    '### Soak',
    '',
    `Measured by \`npm run soak\` on ${date.slice(0, 10)} with ${machine}: the same limiters under load for`,
    `${minutes} minutes, and every ${every} s a random fault, after which everything must add up. ${held} of ${rounds.length} held.`,
    '',
    ...table(
      ['fault', 'times', 'held', 'longest check', 'did not hold'],
      names.map((name) => {
        const its = rounds.filter(({ fault }) => fault === name)
        const good = its.filter(({ verdict }) => verdict.holds).length
        const failures = its.flatMap(({ verdict }) => failuresOf(verdict))
        return [
          name,
          `${its.length}`,
          `${good}`,
          `${Math.round(longest(its))} ms`,
          failures.length > 0 ? failures.join('; ') : '–',
        ]
      }),
    ),
    '',
  ]
}

function failuresOf({ claims, outcomes }: Verdict): string[] {
  const of = (track: string, its: Verdict['claims']) =>
    its.filter(({ holds }) => !holds).map(({ says, detail }) => `${track}${says}: ${detail}`)
  return [...of('', claims), ...outcomes.flatMap(({ track, claims }) => of(`${track}: `, claims))]
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

/** What callers saw during the fault; then what became of the counts. */
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

/** A Markdown table, aligned as the formatter wants it. */
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
