import { type Algorithm, isBucket, type Limit } from '../../src/algorithms/algorithm.ts'
import type { Decision } from '../../src/decision.ts'
import type { Operation, Reply, Snapshot, Table } from '../../src/store/store.ts'
import type { Fleet } from './fleet.ts'
import { limitOf, type NodePlan, type Numbers } from './history.ts'

/** More than can be admitted in a history. */
const LARGE = 5000

/** Longest that an answer takes in a history, and so the most by which a node's idea of the time is wrong after one. */
export const LONGEST_WAY = 200

/** A cost that was admitted; times are the store's, in milliseconds with their fraction. */
export interface Admission {
  readonly at: number
  readonly cost: number
  /** What the node took the store's time for. */
  readonly believed: number
  /** The latest that it had taken it for by then: a key's window never goes back. */
  readonly furthest: number
  /** Of a hard one: from when on nothing of it counts any more, as the store said. */
  readonly until?: number
}

/** One life of a node: from its start to its crash, or until another one took its place. */
export class NodeLife {
  alive = true
  /** Another node took its place while the history lasted. */
  replaced = false
  /** It was replaced, and the store and the network were well then. */
  leftInPeace = false

  constructor(
    readonly plan: NodePlan,
    readonly began: number,
  ) {}
}

/** When a command left, and when its answer came; Infinity: it did not. */
interface Exchange {
  readonly sent: number
  replied: number
}

/** What one limit and one key saw of a node's life. */
export class Life {
  readonly admitted: Admission[] = []
  /** What hard takes took, whose answers came too late for their checks: the node may give it back. */
  readonly late: Admission[] = []
  /** `until`: when it was decided, where that may be later. */
  readonly offered: { readonly at: number; readonly cost: number; until: number }[] = []
  /** Commands with the key. */
  readonly exchanges: Exchange[] = []
  /** Those of them that told the store of all that the node had admitted: not a question about a key that it knows nothing of. */
  readonly flushes: Exchange[] = []
  /** Commands that left at the moment of the one before them. */
  atOnce = 0
  /** Cost that checks were told was admitted. */
  told = 0
  /** What the store may have taken, or may not have got back, since it did not say so. */
  uncertain = 0
  /** Hard takes that left, and when: refused or not, a repeat may be carried out by a store that lost all since. */
  readonly asked: { readonly at: number; readonly cost: number }[] = []
  /** What was taken and went back, for other limits refused it: when it was taken. */
  readonly back: { readonly at: number; readonly cost: number }[] = []
  /** Milliseconds for which what the store has back had been taken, each cost for itself, rounded up. */
  held = 0
  /** What was taken, and of no use when time had freed it: there was nothing to give back. */
  readonly freed = new Set<Admission>()
  /** The most that may be refunded: what was admitted and not given back. */
  refundable = 0
  table: Table | undefined
  /** The latest that the node has taken the store's time for, of what it heard of it. */
  private furthest = -Infinity

  constructor(
    readonly node: NodeLife,
    /** Of the limit. */
    readonly window: number,
  ) {}

  /** The node looks at the key, and may find its window over. */
  looks(): void {
    if (this.table?.known) this.furthest = Math.max(this.furthest, this.table.now())
  }

  /** Checks admitted cost so long ago. */
  admits(now: number, cost: number, ago: number): void {
    const table = this.table as Table
    // Before it has heard of the store's time it says how long ago something was, but not where its windows end.
    const ahead = table.known ? 0 : this.plan.wall
    const believed = table.now() - ahead - ago
    this.admitted.push({ at: now - ago, cost, believed, furthest: Math.max(believed, this.furthest) })
  }

  /** Goes back: it does not count as admitted, or as what came too late for that. */
  forget(taken: readonly Admission[]): void {
    for (const list of [this.admitted, this.late])
      for (const its of taken) if (list.includes(its)) list.splice(list.indexOf(its), 1)
  }

  get plan(): NodePlan {
    return this.node.plan
  }

  get began(): number {
    return this.node.began
  }

  get alive(): boolean {
    return this.node.alive
  }

  get replaced(): boolean {
    return this.node.replaced
  }

  get leftInPeace(): boolean {
    return this.node.leftInPeace
  }
}

/** A call that changes counts at some moment between its start and its end; `known`: it did. */
export interface Verb {
  readonly what: 'refund' | 'penalty' | 'reset'
  readonly cost: number
  readonly from: number
  until: number
  known: boolean
}

/** Another limit that was set between two moments; `known`: it was. */
interface Setting {
  readonly limit: number
  readonly from: number
  until: number
  known: boolean
}

/** One limit and a key of it, and all that an observer saw of them. */
export class Count {
  readonly lives: Life[] = []
  readonly verbs: Verb[] = []
  /** The largest of the limits that were in force. */
  limit: Limit
  private readonly initial: number
  private readonly settings: Setting[] = []

  constructor(
    readonly fleet: Fleet,
    readonly table: string,
    readonly key: string,
    readonly numbers: Numbers,
    /** What asks by another limit than this one is not meant; none: there is but one. */
    private readonly made?: Limit,
  ) {
    this.limit = made ?? limitOf(numbers)
    this.initial = this.limit.limit
  }

  /** Whether this is what a node that asks for its key in a table asks by a limit. */
  isOf(table: string, limit: Limit): boolean {
    return table === this.table && (this.made ?? limit) === limit
  }

  life(node: NodeLife): Life {
    let life = this.lives.find((life) => life.node === node)
    if (life === undefined) {
      life = new Life(node, this.limit.window)
      this.lives.push(life)
    }
    return life
  }

  /** Another limit is being set. */
  set(limit: Limit, done: Promise<boolean>): void {
    if (limit.limit > this.limit.limit) this.limit = limit
    const setting: Setting = { limit: limit.limit, from: this.fleet.now, until: Infinity, known: false }
    this.settings.push(setting)
    void done.then((known) => {
      setting.until = this.fleet.now
      setting.known = known
    })
  }

  /** The largest limit that may have been in force at any moment of this stretch of time. */
  mostInForce(from: number, to: number): number {
    const sure = this.settings.filter(({ known }) => known)
    const isOver = (since: number) => sure.some((later) => later.from > since && later.until < from)
    const may = this.settings.filter(
      (its) => its.from <= to && !isOver(its.known ? its.until : its.from + 100),
    )
    return Math.max(isOver(-Infinity) ? 0 : this.initial, ...may.map(({ limit }) => limit))
  }

  /** The most that may be booked. */
  get budget(): number {
    const { limit } = this.limit
    return limit + Math.floor(this.fleet.history.maxOvershoot * limit)
  }

  /** What a fleet may have in use by a limit: where there is a share that may be exceeded, with that. */
  budgetOf(limit: number): number {
    const isCapped = this.lives.some(({ plan }) => plan.mode === 'capped')
    return isCapped ? limit + Math.floor(this.fleet.history.maxOvershoot * limit) : limit
  }

  /** What may be used again. */
  get refunded(): number {
    return this.verbs.reduce((sum, { what, cost }) => (what === 'refund' ? sum + cost : sum), 0)
  }

  /** What the store counts of the key: quota that is booked is used. By a limit of the same window, and large. */
  async used(): Promise<number> {
    const [decisions] = await this.asked(['peek', this.key])
    const [{ limit, allowed, remaining }] = decisions as readonly [Decision]
    return limit - remaining - (allowed ? 1 : 0)
  }

  /** What of it is booked for nodes, and not known to be spent. */
  async booked(): Promise<number> {
    const { elsewhere } = await this.snapshot()
    return elsewhere
  }

  /** Of a bucket: the part of its last unit in use that has drained. */
  async drained(): Promise<number> {
    const { c } = await this.snapshot()
    return isBucket(this.limit) ? c / this.limit.window : 0
  }

  private async snapshot(): Promise<Snapshot> {
    const [snapshot] = await this.asked(['read', this.key])
    return snapshot as Snapshot
  }

  private async asked(operation: Operation): Promise<Reply['results']> {
    const limit = limitOf({ ...this.numbers, limit: LARGE }) as Algorithm
    const table = this.fleet.simulation.server.open(this.table, limit)()
    const { results } = await table.exchange({
      ...{ node: '0123456789abcdef', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
      operations: [operation],
    })
    return results
  }
}
