import type { Network } from './network.ts'
import type { NodeProcess } from './node-process.ts'
import type { Server } from './server.ts'

/** The nodes and limiters that are there while something breaks. */
export interface Cast {
  readonly nodes: NodeProcess[]
  /** Starts another node on the same limiters. */
  addNode(): Promise<NodeProcess>
  /** Names of the limiters in the store. */
  readonly limiters: readonly string[]
}

/** Something that breaks under load, and what must hold then. */
export interface Scene {
  readonly name: string
  /** For a reader of the docs. */
  readonly title: string
  /** Whether Redis keeps what it has acknowledged. */
  readonly keeps: boolean
  /**
   * What a node sees: `away`, one outage, told by one event at its beginning and one at its end; `flaky`, answers
   * that fail now and then; `none`, no outage.
   */
  readonly outage: 'away' | 'flaky' | 'none'
  /** How many nodes there are at first; default 3. */
  readonly nodes?: number
  /** The share of the usual load that each node offers; default 1. */
  readonly share?: number
  /** Whether clients may hold other connections afterwards: a cluster's, to other members. */
  readonly reconnects?: boolean
  /** Breaks, waits and mends. */
  run(cast: Cast): Promise<void>
}

/** What a fault of a single Redis may break. */
export interface Stage extends Cast {
  readonly server: Server
  readonly network: Network
  wait(ms: number): Promise<void>
}

/** A fault of a single Redis, the network or the nodes. */
export interface Fault extends Omit<Scene, 'run'> {
  readonly serverArgs?: readonly string[]
  run(stage: Stage): Promise<void>
}
