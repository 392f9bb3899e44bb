import type { Network } from './network.ts'
import type { NodeProcess } from './node-process.ts'
import type { Server } from './server.ts'

/** What a fault may break. */
export interface Stage {
  readonly server: Server
  readonly network: Network
  readonly nodes: NodeProcess[]
  /** Starts another node on the same limiters. */
  addNode(): Promise<NodeProcess>
  wait(ms: number): Promise<void>
  /** Names of the tracks' limiters in the store. */
  readonly limiters: readonly string[]
}

/** Something that breaks under load, and what is to hold then. */
export interface Fault {
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
  /** Nodes are ended or begun by the fault itself; what the ended ones had pending is lost. */
  readonly nodesChange?: boolean
  /** How many nodes there are at first; default 3. */
  readonly nodes?: number
  readonly serverArgs?: readonly string[]
  /** Breaks, waits and mends. */
  run(stage: Stage): Promise<void>
}
