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
/** Hash slots over which the keys are spread, for each busy CPU: the Cluster chooses which of them share a server. */
const SHARDS_A_CPU = 4
const FEWEST_SHARDS = 16
/** The part of its time for which a server's CPU may be busy. */
const LOAD = 0.5
/** Redis Cluster has no more hash slots. */
const MOST_SHARDS = 16_384

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

/** What a way of deciding sends in a second, of all nodes. */
interface Sent {
  /** Redis CPUs that entries keep busy, in commands as full as can be. */
  readonly cpus: number
  /** Commands as full as can be. */
  readonly commands: number
  /** Microseconds of Redis that a command takes, whatever it carries. */
  readonly command: number
  /** Seconds. */
  readonly interval?: number | undefined
}

/**
 * Shards, the commands that they take, and the Redis CPUs that are busy then. At least one command goes to each shard in
 * an interval: more shards need more CPUs, and more CPUs more shards.
 */
export function spread({ cpus, commands, command, interval }: Sent): {
  shards: number
  commands: number
  cpus: number
} {
  let shards = FEWEST_SHARDS
  for (;;) {
    const least = interval === undefined ? 0 : (NODES * shards) / interval
    const sent = Math.max(commands, least)
    const busy = cpus + ((sent - commands) * command) / 1e6
    if (SHARDS_A_CPU * busy <= shards) return { shards, commands: sent, cpus: busy }
    if (shards >= MOST_SHARDS)
      throw new Error(`${shards} shards take ${busy} CPUs: the plan does not come out`)
    shards *= 2
  }
}

/** Servers of a Redis Cluster that have slots, each with a CPU that is busy for part of its time; without replicas. */
export function servers(cpus: number): number {
  return Math.ceil(cpus / LOAD)
}

/**
 * Microseconds of Redis that a settled entry takes if so many nodes share its key: between the measured numbers of nodes
 * on a straight line, and beyond them as on the last one.
 */
export function costOfShared(shared: Rounds, nodes: number): number {
  const measured = SHARED_BY.map((count) => ({ count, cost: medianOf(shared[sharedBy(count)], CPU) }))
  const next = measured.findIndex(({ count }) => count >= nodes)
  const upper = next < 0 ? measured.length - 1 : Math.max(1, next)
  const [from, to] = [measured[upper - 1]!, measured[upper]!]
  const slope = (to.cost - from.cost) / (to.count - from.count)
  return from.cost + slope * (nodes - from.count)
}

/** @param cost the results of the question `redis-cost` */
export function planTable(cost: Result): string {
  const [single, shared] = cost.cases as [CaseResult, CaseResult]
  const roundsOf = (name: string) => single.rounds[name] ?? []
  const ofCommand = (measure: string) =>
    medianOf(roundsOf('hard, one key a command'), measure) - medianOf(roundsOf('hard'), measure)
  const alone = costOfShared(shared.rounds, 1)
  // Keys in a second that a node never saw: if the reads of them do not travel together, each is a command more.
  const reads = NODES * (differentKeys(KEYS, RATE * (AGE + 1)) - differentKeys(KEYS, RATE * AGE))
  const rows = WAYS.map(({ name, contender, interval }) => {
    const rounds = roundsOf(contender)
    const entries = interval === undefined ? 1 : entriesOfCheck(KEYS, RATE * AGE, RATE * interval)
    const aSecond = entries * NODES * RATE
    const nodes = interval === undefined ? 1 : nodesOfEntry(KEYS, NODES, RATE * AGE, RATE * interval)
    const ofShared = costOfShared(shared.rounds, nodes)
    const cpu = contender === 'soft' ? ofShared : medianOf(rounds, CPU) + ofShared - alone
    // A node that is alone with its keys sends whole rows and hears nothing, one that shares them does not.
    const travels = contender === 'soft' ? (shared.rounds[sharedBy(SHARED_BY.at(-1)!)] ?? []) : rounds
    const full = (aSecond - (interval === undefined ? 0 : reads)) / medianOf(rounds, 'entries a command')
    const { shards, commands, cpus } = spread({
      cpus: (aSecond * cpu) / 1e6,
      commands: full,
      command: ofCommand(CPU),
      interval,
    })
    const megabytes = (measure: string) => {
      const bytes = aSecond * medianOf(travels, measure) + (commands - full) * ofCommand(measure)
      return `${shown(bytes / 1e6)} MB/s`
    }
    return [
      name,
      shown(entries),
      shown(aSecond),
      interval === undefined ? '' : shown(nodes),
      shown(shards),
      interval === undefined
        ? `at least ${shown(commands)}`
        : `${shown(commands)} to ${shown(commands + reads)}`,
      shown(cpus),
      shown(servers(cpus)),
      megabytes('bytes to Redis an entry'),
      megabytes('bytes from Redis an entry'),
    ]
  })
  const head = [
    'mode',
    'entries a check',
    'entries a second',
    "nodes in an entry's row",
    'shards',
    'commands a second',
    'Redis CPUs, busy',
    'servers',
    'to Redis',
    'from Redis',
  ]
  return markdownTable([head, ...rows], { align: ['l', ...head.slice(1).map(() => 'r')] })
}
