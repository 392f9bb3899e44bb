import { markdownTable } from 'markdown-table'
import { CPU, SHARED_BY, sharedBy } from './questions/redis-cost.ts'
import { type CaseResult, medianOf, type Result } from './result.ts'
import type { Rounds } from './rounds.ts'
import { shown } from './tables.ts'
import { differentKeys, entriesOfCheck, nodesOfEntry } from './zipf.ts'

// The plan of `docs/scaling.md`: computed from what an entry costs.

const NODES = 1000
/** Checks a second of one node. */
const RATE = 5000
const KEYS = 10_000_000
/** Seconds for which a node has been running, and the window as well. */
const AGE = 3600
/** Hash slots over which the keys are spread. */
const SHARDS = 256

interface Way {
  readonly name: string
  /** Its name in the question `redis-cost`. */
  readonly contender: 'hard' | 'hard, one key a command' | 'soft' | 'leased'
  /** Seconds. */
  readonly interval?: number
}

const WAYS: readonly Way[] = [
  { name: 'hard, full batches', contender: 'hard' },
  { name: 'hard, one key a command', contender: 'hard, one key a command' },
  { name: 'soft, interval 1 s', contender: 'soft', interval: 1 },
  { name: 'soft, interval 10 s', contender: 'soft', interval: 10 },
  { name: 'soft, interval 1 min', contender: 'soft', interval: 60 },
  { name: 'soft, interval 10 min', contender: 'soft', interval: 600 },
  { name: 'leased, interval 10 s, at least', contender: 'leased', interval: 10 },
]

/**
 * Commands a second of all nodes: at least one to each shard in an interval, and at most one more for each key that a
 * node never saw.
 */
function commands(entries: number, perCommand: number, interval: number | undefined): string {
  if (interval === undefined) return `at least ${shown((NODES * RATE) / perCommand)}`
  const read = differentKeys(KEYS, RATE * (AGE + 1)) - differentKeys(KEYS, RATE * AGE)
  const flushes = Math.max(SHARDS / interval, (entries * RATE - read) / perCommand)
  return `${shown(NODES * flushes)} to ${shown(NODES * (flushes + read))}`
}

/**
 * Microseconds of Redis that an entry takes beyond what it does for one node alone, if so many nodes share its key:
 * between the measured numbers of nodes on a straight line, and beyond them as on the last one.
 */
export function costOfSharing(shared: Rounds, nodes: number): number {
  const measured = SHARED_BY.map((count) => ({ count, cost: medianOf(shared[sharedBy(count)], CPU) }))
  const next = measured.findIndex(({ count }) => count >= nodes)
  const upper = next < 0 ? measured.length - 1 : Math.max(1, next)
  const [from, to] = [measured[upper - 1]!, measured[upper]!]
  const slope = (to.cost - from.cost) / (to.count - from.count)
  return from.cost + slope * (nodes - from.count) - measured[0]!.cost
}

/** @param cost the results of the question `redis-cost` */
export function planTable(cost: Result): string {
  const [alone, shared] = cost.cases as [CaseResult, CaseResult]
  const rows = WAYS.map(({ name, contender, interval }) => {
    const rounds = alone.rounds[contender] ?? []
    const entries = interval === undefined ? 1 : entriesOfCheck(KEYS, RATE * AGE, RATE * interval)
    const aSecond = entries * NODES * RATE
    const nodes = interval === undefined ? 1 : nodesOfEntry(KEYS, NODES, RATE * AGE, RATE * interval)
    const cpu = medianOf(rounds, CPU) + costOfSharing(shared.rounds, nodes)
    // A node that is alone with its keys sends whole rows and hears nothing, one that shares them does not.
    const travels = contender === 'soft' ? (shared.rounds[sharedBy(SHARED_BY.at(-1)!)] ?? []) : rounds
    const megabytes = (measure: string) => `${shown((aSecond * medianOf(travels, measure)) / 1e6)} MB/s`
    return [
      name,
      shown(entries),
      shown(aSecond),
      interval === undefined ? '' : shown(nodes),
      commands(entries, medianOf(rounds, 'entries a command'), interval),
      shown((aSecond * cpu) / 1e6),
      megabytes('bytes to Redis an entry'),
      megabytes('bytes from Redis an entry'),
    ]
  })
  const head = [
    'mode',
    'entries a check',
    'entries a second',
    "nodes in an entry's row",
    'commands a second',
    'Redis CPUs, busy',
    'to Redis',
    'from Redis',
  ]
  return markdownTable([head, ...rows], { align: ['l', ...head.slice(1).map(() => 'r')] })
}
