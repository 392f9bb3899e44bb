import type { Report } from '@spillway/core/testing'

/** A part in per cent, with as many digits as are significant. */
export function percent(part: number): string {
  const value = part * 100
  if (value === 0) return '0'
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** A cell in one line. */
export function line(name: string, report: Report, roundTrip: number): string {
  const { overshoot, waits } = report
  const trips = (ms: number) => (ms / roundTrip).toFixed(1)
  const unanswered = report.unanswered > 0 ? `, ${Math.round(report.unanswered)} without an answer` : ''
  return [
    name.padEnd(34),
    `over % mean ${percent(overshoot.mean)} max ${percent(overshoot.max)} first ${percent(overshoot.first)}`.padEnd(
      42,
    ),
    `used ${percent(report.share)} of possible ${percent(report.shareOfPossible)}`.padEnd(33),
    `denied falsely ${percent(report.falseDenials)} too many ${percent(report.excessDenials)}`.padEnd(36),
    `calls ${percent(report.callsPerCheck)} entries ${percent(report.entriesPerCheck)}`.padEnd(26),
    `waited ${percent(waits.part)}, trips ${trips(waits.median)} p99 ${trips(waits.p99)} max ${trips(waits.longest)}${unanswered}`,
  ].join(' ')
}
