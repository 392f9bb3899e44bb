import { type Algorithm, MOST_ENTRIES, Numbers } from '../algorithms/algorithm.ts'
import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'

/**
 * What a node has counted of a key within one slice, as counters that only rise: cost admitted, cost given back
 * by `refund`, quota that was booked for it, and quota of that which it will never spend.
 */
export type Counters = readonly [admitted: number, refunded: number, granted: number, returned: number]

/**
 * Asks for quota to be booked for the node, so that it has `least`, or its `fraction` of what is left but no more
 * than `most`; and tells the store the node's demand (cost offered, denied or not; any unit, the same on all nodes).
 * With `ahead`, of a log: what is not there now, up to `most`, of what expires within so many milliseconds.
 */
export type Ask = readonly [demand: number, fraction: number, most: number, least: number, ahead?: number]

/**
 * What can be asked about one key. Lists, since they travel as JSON:
 *
 * - `take`: tests and consumes each cost in turn; answered by a decision a cost
 * - `peek`: the decision that a cost of 1 would get
 * - `read`: the key's snapshot, after what is asked for was booked
 * - `settle`: records what the node has counted within the slice and within the one before it; for a log, with
 *   the entries of each, oldest first. Merged by maximum, so that a second arrival changes nothing. Dropped if the
 *   key was reset meanwhile (`generation`). Then as `read`.
 * - `restore`: as `settle`, but nothing is asked for, and nothing answered: gives back in bulk what the store has lost.
 *   What is late is left out where there is none.
 * - `raise`: as a `settle` of generation 0 that tells of admitted cost and demand alone, by a node that seems to be the only
 *   one of which anything is kept (`isAlone`), and says what that is. Answered by nothing where it is so: then what it
 *   told is what is kept now
 * - `reset`: as the limiter's method, by a node that has given up what of its quota it knew to be booked in the slice
 * - `refund`, `block`: as the limiter's methods. `refund` with `at`: of what was taken at that store time and
 *   turned out to be of no use, what still counts; `beside`, of a bucket, so much was in use besides, at least;
 *   `marker`, that of the reply that told of the take: a store with another one has lost it, and gives nothing back;
 *   `others`, of a bucket, so much was in use besides too, but may have gone back since
 * - `charge`: records cost, whether the limit allows it or not, up to {@link MOST_CHARGED}
 */
export type Operation =
  | readonly ['take', key: string, ...costs: number[]]
  | readonly ['peek', key: string]
  | readonly ['read', key: string, ask?: Ask]
  | readonly [
      'settle',
      key: string,
      generation: number,
      slice: number,
      current: Counters,
      late: Counters,
      ask?: Ask | null,
      entries?: readonly number[],
      lateEntries?: readonly number[],
    ]
  | readonly [
      'restore',
      key: string,
      generation: number,
      slice: number,
      current: Counters,
      late?: Counters,
      ask?: null,
      entries?: readonly number[],
      lateEntries?: readonly number[],
    ]
  | Raise
  | readonly [
      'refund',
      key: string,
      cost: number,
      at?: number,
      beside?: number,
      marker?: string,
      others?: InUse,
    ]
  | readonly ['charge', key: string, cost: number]
  | readonly ['block', key: string, ms: number]
  | readonly ['reset', key: string, slice?: number, granted?: number]

/** Of a window. `lateAdmitted` is settled, and no more than that has been admitted. */
export type Raise = readonly [
  'raise',
  key: string,
  slice: number,
  admitted: number,
  lateAdmitted: number,
  demand: number,
  ...seen: [count: number, previous: number, admitted: number, demand: number],
]

/**
 * What has been given back of a bucket's key in all, and since when the store has kept that: until all has drained that was
 * in use before.
 */
export type GivenBack = readonly [since: number, cost: number]

/** Nothing is kept of it. */
export const NOTHING_GIVEN: GivenBack = [0, 0]

/**
 * What of a bucket was in use: less what drains in so many milliseconds, when so much had been given back, and it drained at
 * that rate; by what was heard of it at that store time. What is in use by its taker's own reckoning since then may have drained
 * faster.
 */
export type InUse = readonly [cost: number, drained: number, ...given: GivenBack, rate: number, heard: number]

export const NONE_IN_USE: InUse = [0, 0, ...NOTHING_GIVEN, 0, 0]

/** What of it is in use still, or has drained, and did not go back, at least. */
export function keptOf([used, , since, before]: InUse, [now, given]: GivenBack): number {
  return Math.max(0, used - given + (since === now ? before : 0))
}

/** Of a slice in which nothing was counted. */
export const NO_COUNTERS: Counters = [0, 0, 0, 0]

/** What a `raise` comes to where more is kept of the key than its node has seen. */
export function settlementOf(raise: Raise): Operation & { 0: 'settle' } {
  const [, key, slice, admitted, late, demand] = raise
  const before: Counters = late > 0 ? [late, 0, 0, 0] : NO_COUNTERS
  return ['settle', key, 0, slice, [admitted, 0, 0, 0], before, [demand, 0, 0, 0]]
}

const NO_STARTS: readonly number[] = []

/** What a store has of a key, for the node that asks. */
export class Snapshot extends Numbers {
  /** The time of the key's last reset, 0 if none: what was admitted before it no longer counts. */
  generation = 0
  /** The key is blocked before this time. */
  blockedUntil = 0
  /** The store's present slice: time ÷ window, rounded down. */
  slice = 0
  /** What the store has settled of this node within the slice, and within the one before it. */
  admitted = 0
  refunded = 0
  returned = 0
  lateAdmitted = 0
  lateRefunded = 0
  lateReturned = 0
  /** What has been booked for this node within the slice, and within the one before it, in all. */
  granted = 0
  lateGranted = 0
  /** What is booked for the other nodes, and not known to be spent. */
  elsewhere = 0
  /** The sum of the nodes' demand. */
  demand = 0
  /** Of a window: nothing is kept but what this node has admitted and its demand, as far as the store looked. */
  isAlone = false
  /** Of a log, from when on what was booked just now may be spent: store time, cost, time, cost…. */
  starts: readonly number[] = NO_STARTS
  /** Of a bucket. */
  given = NOTHING_GIVEN

  constructor(readonly key: string) {
    super()
  }
}

/**
 * A limit set while limiters run: which one it is (0: one that is new), and its parameters. Of two the store keeps the
 * later. Empty where none is known.
 */
export type LimitInForce = readonly [] | readonly [revision: number, ...parameters: number[]]

export interface Request {
  /** The node's id: 16 hex digits. */
  readonly node: string
  /** Rises with each request of the node that must not be carried out twice; 0 where twice does no harm. */
  readonly sequence: number
  /** Store time past which nothing is to be done; 0 for none. */
  readonly deadline: number
  /** The node's monotonic time past which the command need not leave; none: never. */
  readonly until?: number
  /**
   * Asks also for the keys that changed (reset, block, refund of more than was left by the smallest limit that anybody
   * asks by) from this store time on; -1: does not.
   */
  readonly since: number
  /** Milliseconds for which the node counts as present; 0: it is not to be counted. */
  readonly presence: number
  /** How far above the limit may be booked. */
  readonly extra: number
  readonly operations: readonly Operation[]
  /** No two of them are of one key: nobody need look. */
  readonly distinct?: boolean
  /** The operations go by the limit that is in force: what the node knows of it. Not there: by the table's own. */
  readonly limit?: LimitInForce | undefined
}

export interface Reply {
  /** Store time, in milliseconds. */
  readonly now: number
  /** Random; another one than before tells that the store has lost its data. */
  readonly marker: string
  /** How many nodes are present. */
  readonly nodes: number
  /** The list of changes is complete from this store time on. */
  readonly changesFrom: number
  readonly changed: readonly Snapshot[]
  /** As of now, where the request went by it. */
  readonly limit?: LimitInForce | undefined
  /** By key, what was booked for nodes when a cost was taken, where any was: its decisions count that as used. */
  readonly booked?: ReadonlyMap<string, number> | undefined
  /** By key, what had been given back of a bucket when a cost was taken, where anything is kept of that. */
  readonly given?: ReadonlyMap<string, GivenBack> | undefined
  /** In the order of the operations; nothing for a `restore`. */
  readonly results: readonly (readonly Decision[] | Snapshot | undefined)[]
}

/** The counts of one limiter name in a store. */
export interface Table {
  /** Tables of one place can be joined; none: this one can't be. */
  readonly place?: string
  /** Its answers come in the same turn of the event loop: whoever asks on and on lets nobody else have one. */
  readonly answersAtOnce?: boolean
  /** Whether the store's time is known. */
  readonly known: boolean
  /** The store's time now, in whole milliseconds, as well as this process knows it. */
  now(): number
  /** The latest that the store's time can be now, whatever the clocks here have done since its last answer. */
  latest(): number
  /**
   * Whether nobody else has these counts, so that nobody need be told of what is pending; calls back when another one
   * opens them. Not there: others may have them.
   */
  isLone?(shared: () => void): boolean
  /**
   * Carries the operations out, in order, all at one moment.
   *
   * @throws StoreError where there is no answer
   * @throws ConfigError `ERR_MISMATCH` where the name is in use with another algorithm or window
   */
  exchange(request: Request): Promise<Reply>
}

/** Several tables that are asked together. */
export interface JointTable {
  /**
   * Carries takes and peeks out, all at one moment: those at one place of the requests belong together. Takes have the same costs, and
   * each cost is taken of all tables or of none. With `reserve` the last table is one that is taken of where the others
   * refuse, but only since they are used up. What was not taken is answered by what the table by itself would say.
   *
   * @returns a reply for each request
   * @throws as a table's `exchange`; then nothing is taken of any
   */
  exchange(requests: readonly Request[], reserve: boolean): Promise<readonly Reply[]>
}

/** Counts under a name. */
export interface TableName {
  readonly table: string
  /** Those of one group and shard lie on one server. */
  readonly group: string
  /** Which part of the keys it is for, from 0. */
  readonly shard: number
  readonly limit: Algorithm
}

/** Where the shared truth lives. */
export interface Store {
  /** Over how many tables a limiter's keys are to be spread; default 1. */
  readonly shards?: number
  /** The counts under a name. Limiters that share the name share them. */
  open(name: string, limit: Algorithm, group?: string, shard?: number): Table
  /** Tables of one `place`, to be asked together. */
  join?(tables: readonly TableName[]): JointTable
  /** Ends what the store itself has opened. */
  close(): Promise<void>
}

/** What limiters of one name must have in common. */
export function signature(limit: Algorithm): string {
  const [, , , per] = limit.parameters
  // What has drained of a bucket's last token is kept in parts of `per`.
  return `${limit.algorithm}/${limit.window}${per === undefined ? '' : `/${per}`}`
}

/** Why limiters of one name can't work together. */
export function mismatchMessage(name: string, theirs: string, ours: string): string {
  return `the limiter name ${JSON.stringify(name)} is in use with ${theirs} ms, and this limiter has ${ours} ms: give it another name, or the same algorithm and window (of a bucket the time to fill, and \`per\`), and the store the same \`shards\``
}

/** The command arrived past its deadline: nothing was done. */
export function lateError(): StoreError {
  return new StoreError(
    'ERR_STORE_TIMEOUT',
    'the command reached the store past its deadline; nothing was counted',
  )
}

/** The command arrived a second time: nothing was done then. */
export function repeatedError(): StoreError {
  return new StoreError('ERR_STORE_REPLY', 'the command reached the store a second time', { uncertain: true })
}

/** A change is listed for this long, in milliseconds; a node that was away longer reads its keys again. */
export const CHANGES_KEPT = 600_000

/** A limit that was set is kept for this long after the name was last used, in milliseconds: 30 days. */
export const LIMIT_KEPT = 2_592_000_000

/** The most changes that are listed. */
export const MOST_CHANGES = 10_000

/**
 * So much a key counts at most of what is charged: what is above it is not recorded. It is the same whatever the limit,
 * since a charge may go by a smaller one than the plan by which the key is in use: more than any limit lets in, by some
 * of the largest costs. Below 2^36, so that a window's weights stay exact.
 */
export const MOST_CHARGED = 2 ** 35

/** A key in debt is kept for at most this many slices. */
export const FURTHEST_SLICE = 64

/** Merges a log's entries down to {@link MOST_ENTRIES}: none counts as older than it is. */
export function mergeEntries(entries: readonly number[]): number[] {
  const count = entries.length / 2
  const group = Math.ceil(count / MOST_ENTRIES)
  const merged: number[] = []
  let cost = 0
  for (let place = 0; place < count; place++) {
    cost += entries[2 * place + 1] as number
    if ((place + 1) % group === 0 || place === count - 1) {
      merged.push(entries[2 * place] as number, cost)
      cost = 0
    }
  }
  return merged
}
