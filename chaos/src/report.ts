import Table from 'cli-table3'
import type { Verdict } from './judge.ts'
import type { LoadVerdict } from './load/load-verdict.ts'
import type { SmokeResult } from './smoke/run-smoke.ts'

const COLUMNS = [
  ...[
    'track',
    'offered',
    'admitted',
    'let through',
    'settled',
    'difference',
    'booked',
    'owed',
    'expired',
    'uncertain',
  ],
  ...['overshoot', 'commands', 'longest ms'],
]

/** Prints a fault's outcomes, and every claim that did not hold. */
export function printVerdict(verdict: Verdict): void {
  const table = new Table({ head: COLUMNS, style: { head: [], border: [], compact: true } })
  for (const outcome of verdict.outcomes) {
    table.push([
      outcome.track,
      outcome.offered,
      outcome.admitted,
      outcome.admittedInOutage,
      outcome.counted,
      outcome.difference,
      outcome.booked,
      outcome.owed,
      outcome.expired,
      outcome.uncertain,
      outcome.overshoot,
      outcome.commandsDuring,
      outcome.longestCheck,
    ])
  }
  const sign = verdict.holds ? '✓' : '✗'
  const recovered = verdict.recoveredAfterMs === undefined ? 'never' : `after ${verdict.recoveredAfterMs} ms`
  console.log(
    `\n${sign} ${verdict.fault}: ${verdict.title} (back ${recovered}, event loop held up for ${verdict.heldUp} ms in 200 at most)\n${table.toString()}`,
  )
  for (const { says, holds, detail } of verdict.claims) if (!holds) console.log(`  ✗ ${says}: ${detail}`)
  for (const { track, claims } of verdict.outcomes)
    for (const { says, holds, detail } of claims) if (!holds) console.log(`  ✗ ${track}: ${says}: ${detail}`)
}

export function printLoad({ name, title, figures, claims }: LoadVerdict): void {
  const sign = claims.every(({ holds }) => holds) ? '✓' : '✗'
  const numbers = Object.entries(figures).map(([what, number]) => `${what} ${Math.round(number)}`)
  console.log(`\n${sign} ${name}: ${title}\n  ${numbers.join(', ')}`)
  for (const { says, holds } of claims) if (!holds) console.log(`  ✗ ${says}`)
}

/** Prints one line per fault, over all tracks, and in full the faults that did not hold. */
export function printSmoke({ setting, nodeVersion, verdicts, holds }: SmokeResult): void {
  const held = verdicts.filter((verdict) => verdict.holds).length
  const totals = [
    'offered',
    'admitted',
    'admittedInOutage',
    'counted',
    'owed',
    'expired',
    'uncertain',
  ] as const
  const head = [
    'fault',
    ...['offered', 'admitted', 'let through', 'settled', 'owed', 'expired', 'uncertain', 'longest ms'],
  ]
  const table = new Table({ head, style: { head: [], border: [], compact: true } })
  for (const { fault, outcomes } of verdicts) {
    const sums = totals.map((what) => outcomes.reduce((sum, outcome) => sum + outcome[what], 0))
    table.push([fault, ...sums, Math.max(...outcomes.map(({ longestCheck }) => longestCheck))])
  }
  console.log(
    `\n${holds ? '✓' : '✗'} smoke: ${setting.name}, Node ${nodeVersion}: ${held} of ${verdicts.length}\n${table.toString()}`,
  )
  for (const verdict of verdicts) if (!verdict.holds) printVerdict(verdict)
}
