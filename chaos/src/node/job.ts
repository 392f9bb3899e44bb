import type { OnOutage } from '@spillway/core'

/** How a node reaches Redis: which client, made how. */
export interface Target {
  /** `url`: core makes its own client; the others are passed in. */
  readonly how: 'url' | 'redis' | 'cluster' | 'sentinel'
  readonly client: 'ioredis' | 'ioredis5' | 'iovalkey'
  /** For `url`. */
  readonly url?: string
  /** For `redis`: one; for `cluster` its start nodes; for `sentinel` the sentinels. */
  readonly addresses?: readonly { readonly host: string; readonly port: number }[]
  readonly username?: string
  readonly password?: string
  /** The certificate authority, PEM: the connection is encrypted. */
  readonly ca?: string
}

/** A limiter that every node runs: all tracks of a case meet the same fault. */
export interface Track {
  readonly label: string
  readonly mode: 'hard' | 'soft' | 'leased'
  readonly maxOvershoot?: number
  readonly onOutage: OnOutage
  readonly limit: number
  /** Milliseconds. */
  readonly window: number
}

/** Whether its windows end while a case lasts. */
export function isShort({ window }: Track): boolean {
  return window < 60_000
}

/** What a node does in a case. */
export interface Job {
  /** Sets the limiters' names apart from those of other cases. */
  readonly run: string
  readonly target: Target
  readonly tracks: readonly Track[]
  readonly timeout: number
  readonly interval: number
  /** The node's journal file. The node notes an act before it does it, so that a SIGKILL loses nothing. */
  readonly journal: string
  readonly load: Load
}

export interface Load {
  /** Checks a second of cost 1, on keys that stay below the limit. */
  readonly steadyRate: number
  readonly steadyKeys: number
  /** Milliseconds for which the steady keys stay the same. */
  readonly steadyFor: number
  /** Checks a second of `hotCost` on a key that changes every `hotFor` ms and passes its limit. */
  readonly hotRate: number
  readonly hotCost: number
  readonly hotFor: number
}

export type Phase = 'before' | 'during' | 'after'

/** The record of one key. In cost, not in checks. */
export interface KeyTally {
  offered: number
  /** Admitted and counted, or to be counted, in the store. */
  counted: number
  /** Let through by the outage rule. */
  outage: number
  /** The most offered within the key's longest staleness on any node; 0 if the node ended before that was known. */
  most: number
}

export interface PhaseTally {
  checks: number
  admitted: number
  admittedInOutage: number
  denied: Partial<Record<'limit' | 'blocked' | 'cost' | 'sync' | 'outage', number>>
  thrown: Record<string, number>
  /** Commands sent in this phase, and those of them not answered while the node waited. */
  storeCalls: number
  unanswered: number
  /** Milliseconds. */
  longest: number
}

/** What one limiter of one node has done; counts are exact at any moment. */
export interface TrackTally {
  label: string
  keys: Record<string, KeyTally>
  phases: Record<Phase, PhaseTally>
  /** The longest check, and the longest time beyond a check's timeout and the event loop's lateness meanwhile; ms. */
  longest: number
  longestExcess: number
  open: number
  mostOpen: number
  /** Events since the fault began. */
  degraded: number
  recovered: number
  /** Of `stats()`. */
  pending: number
  expired: number
  uncertain: number
  isDegraded: boolean
  held: number
  storeCalls: number
  storeEntries: number
  /** This node's cost that the store has acknowledged, over all windows. */
  acknowledged: number
  /** For short windows, by key and window: cost that was surely admitted within it, by the machine's clock. */
  windows: Record<string, number>
  /** By key: the most milliseconds from a settlement of it being sent to the next one's reply. */
  staleness: Staleness
}

export type Staleness = Record<string, number>

export interface Journal {
  pid: number
  tracks: TrackTally[]
  /** Unhandled rejections, uncaught exceptions and warnings. */
  accidents: string[]
  /** The most that the event loop was held up since the fault began, see `EventLoop`; ms. */
  heldUp: number
  closed: boolean
}

/** What a process holds while no check is under way. */
export interface Resources {
  readonly heapMb: number
  readonly timers: number
  readonly sockets: number
}

export type Order =
  | { readonly do: 'begin'; readonly job: Job }
  | { readonly do: 'load'; readonly on: boolean }
  | { readonly do: 'phase'; readonly phase: Phase }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'block'; readonly ms: number }
  | { readonly do: 'resources' }
  | { readonly do: 'version' }
  | { readonly do: 'flush' }
  /** Begins the record anew, while no check is under way and nothing is owed. */
  | { readonly do: 'clear' }
  | { readonly do: 'report' }
  | { readonly do: 'audit'; readonly audit: Audit }
  /** With each key's longest staleness on any node, by track. */
  | { readonly do: 'end'; readonly staleness: readonly Staleness[] }

/** Reads what the store has counted, with new limiters. */
export interface Audit {
  readonly target: Target
  readonly limiters: readonly {
    readonly name: string
    readonly window: number
    readonly keys: readonly string[]
  }[]
}
/** What the store has of a key: cost, and quota that is booked for some node and not known to be spent. */
export interface Count {
  readonly counted: number
  readonly booked: number
}

/** By limiter, then by key. */
export type Counts = Record<string, Record<string, Count>>

/** The name in the store of a track's limiter. */
export function limiterName(run: string, label: string): string {
  return `${run}:${label.replaceAll(' ', '-')}`
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
