import { type Algorithm, MOST_ENTRIES, Numbers } from '../algorithms/algorithm.ts'
import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'

/**
 * A node's counters for one key in one slice; they only rise. `admitted` and `refunded` are costs. `granted` is quota
 * booked for the node, and `returned` the part of it that the node will never spend.
 */
export type Counters = readonly [admitted: number, refunded: number, granted: number, returned: number]

/**
 * Asks the store to book quota, so that the node holds its `fraction` of what is left, at most `most` and at least
 * `least`; also tells the node's `demand` (cost offered, denied or not; any unit, the same on all nodes). `ahead`, for
 * a log: `most` does not cap the fraction; what is missing of `most` is booked out of what expires within this many
 * milliseconds.
 */
export type Ask = readonly [demand: number, fraction: number, most: number, least: number, ahead?: number]

/**
 * What can be asked about one key. Lists, since they travel as JSON:
 *
 * - `take`: tests and consumes each cost in turn; answered with one decision per cost
 * - `peek`: the decision that a cost of 1 would get
 * - `read`: the key's snapshot, after booking what `ask` asks for
 * - `settle`: records what the node has counted in the slice and in the one before it; for a log, with the entries of
 *   each, oldest first. Merged by maximum, so that a repeat changes nothing. Dropped if the key was reset meanwhile
 *   (`generation`). Then as `read`.
 * - `restore`: as `settle`, but without an ask or an answer: gives back in bulk what the store has lost. `late` is left
 *   out if it is empty.
 * - `raise`: a `settle` of generation 0 that tells only admitted cost and demand, from a node that believes the store
 *   keeps nothing of any other node (`isAlone`). `seen` is what the node believes is kept. If that is right, the answer
 *   is empty, and what the node told is now kept.
 * - `reset`: the limiter's method; the node has given up the quota that it knew to be booked (`granted`) in the slice
 * - `refund`, `block`: the limiter's methods. `refund` with `at` gives back what still counts of a cost that was taken
 *   at that store time for nothing. `marker` is that of the reply that told of the take: a store with another one has
 *   lost the take, and gives nothing back. For a bucket, at least `beside` was in use besides; so was `others`, but
 *   that may have gone back since.
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

/** For a window. `lateAdmitted` is settled: the node owes nothing of the slice before. */
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
 * The total given back to a bucket, and since when the store has counted it. The store forgets it once all that was in
 * use before has drained.
 */
export type GivenBack = readonly [since: number, cost: number]

/** The store keeps no such total. */
export const NOTHING_GIVEN: GivenBack = [0, 0]

/**
 * How much of a bucket was in use beside a take: `cost`, less what drains in `drained` milliseconds. Known at store
 * time `heard`, when `given` had been given back and the bucket drained at `rate`. The node computed the use after that
 * itself: it may have drained faster.
 */
export type InUse = readonly [cost: number, drained: number, ...given: GivenBack, rate: number, heard: number]

export const NONE_IN_USE: InUse = [0, 0, ...NOTHING_GIVEN, 0, 0]

/** How much of it was not given back, at least: it is still in use, or has drained. */
export function keptOf([used, , since, before]: InUse, [now, given]: GivenBack): number {
  return Math.max(0, used - given + (since === now ? before : 0))
}

/** The counters of a slice in which nothing was counted. */
export const NO_COUNTERS: Counters = [0, 0, 0, 0]

/** The `settle` that a `raise` stands for, if more is kept of the key than the node has seen. */
export function settlementOf(raise: Raise): Operation & { 0: 'settle' } {
  const [, key, slice, admitted, late, demand] = raise
  const before: Counters = late > 0 ? [late, 0, 0, 0] : NO_COUNTERS
  return ['settle', key, 0, slice, [admitted, 0, 0, 0], before, [demand, 0, 0, 0]]
}

const NO_STARTS: readonly number[] = []

/** What the store keeps of a key, as it tells the node that asks. */
export class Snapshot extends Numbers {
  /** The time of the key's last reset, 0 if none: what was admitted before it no longer counts. */
  generation = 0
  /** The key is blocked until this time. */
  blockedUntil = 0
  /** The store's present slice: time ÷ window, rounded down. */
  slice = 0
  /** What the store has settled for this node in the slice, and in the one before it. */
  admitted = 0
  refunded = 0
  returned = 0
  lateAdmitted = 0
  lateRefunded = 0
  lateReturned = 0
  /** The total booked for this node in the slice, and in the one before it. */
  granted = 0
  lateGranted = 0
  /** Booked for the other nodes, and not known to be spent. */
  elsewhere = 0
  /** The sum of the nodes' demand. */
  demand = 0
  /** For a window: the store, as far as it looked, keeps nothing but what this node has admitted and its demand. */
  isAlone = false
  /** For a log: from when on the quota booked just now may be spent, as store time, cost, time, cost…. */
  starts: readonly number[] = NO_STARTS
  /** For a bucket. */
  given = NOTHING_GIVEN

  constructor(readonly key: string) {
    super()
  }
}

/**
 * A limit set while limiters run: its revision (0 for a new one) and its parameters. The store keeps the later of two.
 * Empty if none is known.
 */
export type LimitInForce = readonly [] | readonly [revision: number, ...parameters: number[]]

export interface Request {
  /** The node's id: 16 hex digits. */
  readonly node: string
  /** Rises with each of the node's requests that must not be carried out twice; 0 if a repeat does no harm. */
  readonly sequence: number
  /** Store time after which nothing is to be done; 0 for none. */
  readonly deadline: number
  /** The node's monotonic time after which the command need not leave; undefined: none. */
  readonly until?: number
  /**
   * Asks also for the keys that changed from this store time on (by a reset, block or charge, or a refund of more than
   * the smallest limit in use had left); -1: does not.
   */
  readonly since: number
  /** Milliseconds for which the node counts as present; 0: it is not counted. */
  readonly presence: number
  /** How far above the limit the store may book. */
  readonly extra: number
  readonly operations: readonly Operation[]
  /** No two operations have the same key, so nobody need check. */
  readonly distinct?: boolean
  /** What the node knows of the limit in force, by which the operations go. Undefined: the table's own limit. */
  readonly limit?: LimitInForce | undefined
}

export interface Reply {
  /** Store time, in milliseconds. */
  readonly now: number
  /** Random; a new marker tells that the store has lost data. */
  readonly marker: string
  /** How many nodes are present. */
  readonly nodes: number
  /** The list of changes is complete from this store time on. */
  readonly changesFrom: number
  readonly changed: readonly Snapshot[]
  /** The limit in force now, if the request went by it. */
  readonly limit?: LimitInForce | undefined
  /** By key, quota that was booked for nodes when a cost was taken, if any: the decisions count it as used. */
  readonly booked?: ReadonlyMap<string, number> | undefined
  /** By key, what had been given back to a bucket when a cost was taken, if the store keeps any. */
  readonly given?: ReadonlyMap<string, GivenBack> | undefined
  /** In the order of the operations; undefined for a `restore` or a confirmed `raise`. */
  readonly results: readonly (readonly Decision[] | Snapshot | undefined)[]
}

/** The counts of one limiter name in a store. */
export interface Table {
  /** Tables of one place can be joined; undefined: this one can't be. */
  readonly place?: string
  /** Answers come in the same turn of the event loop: a caller that never stops asking starves everybody else. */
  readonly answersAtOnce?: boolean
  /** Whether the store's time is known. */
  readonly known: boolean
  /** The store's time now, in whole milliseconds, as well as this process knows it. */
  now(): number
  /** The latest that the store's time can be now, whatever this process's clocks have done since its last answer. */
  latest(): number
  /**
   * Whether nobody else uses these counts, so that nobody need be told of pending cost. Calls back when another table
   * opens them. Undefined: others may use them.
   */
  isLone?(shared: () => void): boolean
  /**
   * Carries out the operations, in order, all at one moment.
   *
   * @throws StoreError if there is no answer
   * @throws ConfigError `ERR_MISMATCH` if the name is in use with another algorithm or window
   */
  exchange(request: Request): Promise<Reply>
}

/** Several tables that are asked together. */
export interface JointTable {
  /**
   * Carries out takes and peeks, all at one moment. Operations at one place of the requests belong together; such takes
   * have the same costs, and each cost is taken from all tables or from none. With `reserve`, the last table pays if
   * the others refuse only because they are used up. A cost that is not taken is answered as each table by itself
   * would.
   *
   * @returns a reply for each request
   * @throws as a table's `exchange`; then nothing is taken from any
   */
  exchange(requests: readonly Request[], reserve: boolean): Promise<readonly Reply[]>
}

/** Names a table. */
export interface TableName {
  readonly table: string
  /** Tables of one group and shard lie on one server. */
  readonly group: string
  /** The shard of the keys that it holds, from 0. */
  readonly shard: number
  readonly limit: Algorithm
}

/** Where the shared truth lives. */
export interface Store {
  /** How many tables a limiter's keys are spread over; default 1. */
  readonly shards?: number
  /** The counts under a name. Limiters that share the name share them. */
  open(name: string, limit: Algorithm, group?: string, shard?: number): Table
  /** Joins tables of one `place`, to be asked together. */
  join?(tables: readonly TableName[]): JointTable
  /** Closes what the store itself has opened. */
  close(): Promise<void>
}

/** What limiters of one name must have in common. */
export function signature(limit: Algorithm): string {
  const [, , , per] = limit.parameters
  // The drained part of a bucket's last token is kept in units of 1/per.
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

/** The command arrived a second time: the repeat did nothing. */
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
 * Charges raise a key's usage to this at most; the rest is not recorded. It is the same for all limits, since a charge
 * may go by a smaller limit than the plan by which the key is used. It is some of the largest costs above what any
 * limit admits, and below 2^36, so that a window's weights stay exact.
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
