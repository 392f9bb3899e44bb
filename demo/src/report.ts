import Table from 'cli-table3'
import type { Result } from './demo.ts'
import type { Row } from './result.ts'
import { longestSilence } from './schedule.ts'

/** The result for a person: what was replayed, a table, and what its columns mean. */
export function asText(result: Result): string {
  return `\n${[describe(result), table(result.rows), legend(result)].join('\n\n')}\n`
}

/** The result for a program. */
export function asJson(result: Result): string {
  return `${JSON.stringify(result, null, 2)}\n`
}

function describe({ trace, store, nodes, seed, window, softIntervalMs, seconds, speed }: Result): string {
  const skipped = trace.skipped > 0 ? `; ${count(trace.skipped, 'line')} of it did not parse` : ''
  const cut = trace.cutShort ? '; the rest of it was left out' : ''
  const where =
    store.kind === 'memory'
      ? 'in one process, over a store in memory'
      : `each a process, over ${store.description}`
  return [
    `${count(trace.requests, 'request')} of ${count(trace.clients, 'client')}, from ${trace.source}${skipped}${cut}.`,
    `Replayed in ${seconds} s: silences over ${longestSilence} s cut, then ${number(speed)} times as fast.`,
    `${count(nodes, 'node')}, ${where}. Each request goes to a random node (seed ${seed})`,
    'and asks two limits, independent of each other: one per client and one for the whole site.',
    `Both are fixed windows of ${window}; each replay fell inside one window.`,
    `Soft nodes settle every ${softIntervalMs} ms, in which ${number((speed * softIntervalMs) / 1000)} s of the log pass: one node does not see`,
    'what the others admit meanwhile, and a burst in that time is what soft mode can overshoot by.',
  ].join('\n')
}

function table(rows: readonly Row[]): string {
  const cells = new Table({
    head: [
      'mode',
      'limit\nper',
      'offered',
      'admitted',
      'limit',
      'overshoot',
      'store calls\nper check',
      'entries\nper check',
      'p50\nms',
      'p99\nms',
    ],
    colAligns: ['left', 'left', ...Array.from({ length: 8 }, () => 'right' as const)],
    style: { head: [], border: [], compact: true },
  })
  for (const row of rows) {
    cells.push([
      row.mode,
      row.per,
      number(row.offered),
      number(row.admitted),
      number(row.limit),
      `${number(row.overshoot)} (${(row.overshootShare * 100).toFixed(1)} %)`,
      row.storeCallsPerCheck.toFixed(3),
      row.storeEntriesPerCheck.toFixed(3),
      row.p50Ms.toFixed(3),
      row.p99Ms.toFixed(3),
    ])
  }
  return cells.toString()
}

function legend({ store }: Result): string {
  const call = store.kind === 'memory' ? 'calls of the store' : 'commands sent to Redis'
  return [
    'offered      checks asked, over all nodes',
    'admitted     checks allowed, over all nodes',
    'limit        the most that one window allows: each client by itself, or the site as a whole',
    'overshoot    the most that any one client, or the site, was admitted beyond the limit in the window,',
    '             counted from what the nodes answered; in brackets as a share of the limit',
    `store calls  ${call}, flushes included, for each check`,
    'entries      keys that those calls carried, for each check: batching does not lower it',
    'p50, p99     time from calling check to its answer: half, and 99 %, of the checks took no longer',
  ].join('\n')
}

function count(amount: number, noun: string): string {
  return `${number(amount)} ${noun}${amount === 1 ? '' : 's'}`
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 })
}
