import { markdownTable } from 'markdown-table'
import { medianOf, type Result } from './result.ts'
import { shown } from './tables.ts'
import { differentKeys, entriesOfCheck } from './zipf.ts'

// The plan of `docs/scaling.md`: computed from what an entry costs.

const NODES = 1000
/** Checks a second of one node. */
const RATE = 5000
const KEYS = 10_000_000
/** Seconds for which a node has been running. */
const AGE = 3600

interface Way {
  readonly name: string
  /** Its name in the question `redis-cost`. */
  readonly contender: 'hard' | 'soft' | 'leased'
  /** Seconds. */
  readonly interval?: number
}

const WAYS: readonly Way[] = [
  { name: 'hard, full batches', contender: 'hard' },
  { name: 'soft, interval 1 s', contender: 'soft', interval: 1 },
  { name: 'soft, interval 10 s', contender: 'soft', interval: 10 },
  { name: 'soft, interval 1 min', contender: 'soft', interval: 60 },
  { name: 'soft, interval 10 min', contender: 'soft', interval: 600 },
  { name: 'leased, interval 10 s, at least', contender: 'leased', interval: 10 },
]

/** Commands a second of all nodes: a flush each interval, and at most one for each key that a node never saw. */
function commands(entries: number, perCommand: number, interval: number | undefined): string {
  if (interval === undefined) return `at least ${shown((NODES * RATE) / perCommand)}`
  const read = differentKeys(KEYS, RATE * (AGE + 1)) - differentKeys(KEYS, RATE * AGE)
  const flushes = Math.max(2 / interval, (entries * RATE - read) / perCommand)
  return `${shown(NODES * flushes)} to ${shown(NODES * (flushes + read))}`
}

/** @param cost the results of the question `redis-cost` */
export function planTable(cost: Result): string {
  const rows = WAYS.map(({ name, contender, interval }) => {
    const rounds = cost.cases[0]?.rounds[contender] ?? []
    const entries = interval === undefined ? 1 : entriesOfCheck(KEYS, RATE * AGE, RATE * interval)
    const aSecond = entries * NODES * RATE
    const megabytes = (measure: string) => `${shown((aSecond * medianOf(rounds, measure)) / 1e6)} MB/s`
    return [
      name,
      shown(entries),
      shown(aSecond),
      commands(entries, medianOf(rounds, 'entries a command'), interval),
      shown((aSecond * medianOf(rounds, 'µs of Redis CPU an entry')) / 1e6),
      megabytes('bytes to Redis an entry'),
      megabytes('bytes from Redis an entry'),
    ]
  })
  const head = [
    'mode',
    'entries a check',
    'entries a second',
    'commands a second',
    'Redis CPUs, busy',
    'to Redis',
    'from Redis',
  ]
  return markdownTable([head, ...rows], { align: ['l', 'r', 'r', 'r', 'r', 'r', 'r'] })
}
