import { randomUUID } from 'node:crypto'
import { type Algorithm, isWindow, Numbers, resetAfterOf } from '../algorithms/algorithm.ts'
import { type Clock, checkClock, systemClock } from '../clock.ts'
import { blockedDecision, type Decision, withoutBooked } from '../decision.ts'
import { ConfigError, show } from '../errors.ts'
import { checkOptionNames, holdsOptions } from '../option-names.ts'
import { payerOf } from '../payer.ts'
import { Row, type SetLimit, type Terms } from './row.ts'
import {
  type Ask,
  CHANGES_KEPT,
  FURTHEST_SLICE,
  type GivenBack,
  type JointTable,
  keptOf,
  type LimitInForce,
  lateError,
  MOST_CHANGES,
  MOST_CHARGED,
  mergeEntries,
  mismatchMessage,
  NONE_IN_USE,
  NOTHING_GIVEN,
  type Operation,
  type Raise,
  type Reply,
  type Request,
  repeatedError,
  Snapshot,
  type Store,
  settlementOf,
  signature,
  type Table,
  type TableName,
} from './store.ts'

/** Milliseconds between two looks for what is over. */
const SWEEP_EVERY = 1000
/** Milliseconds for which a node's last sequence is remembered. */
const SEQUENCES_KEPT = 60_000

/** For a look at a row's state. */
const lies = new Numbers()

/** What all limiters of one name share. */
class Counts {
  /** Rows by the slice they are filed under, so that a slice's rows expire together. */
  readonly files = new Map<number, Map<string, Row>>()
  readonly blocks = new Map<string, number>()
  readonly changes = new Map<string, number>()
  changesFrom = 0
  /** The last sequence of each node, and until when it is remembered. */
  readonly sequences = new Map<string, { last: number; until: number }>()
  readonly present = new Map<string, number>()
  /** Set while limiters run. */
  limit: LimitInForce = []
  set: SetLimit | undefined
  /** The smallest by which a node decides in RAM: of plans, several go by one table. */
  smallest = Infinity
  /** How many have them; of one that is alone, what it asked to be told when it no longer is. */
  tables = 0
  shared: (() => void) | undefined
  last = 0
  swept = -1
  sweepAt = 0

  constructor(
    readonly signature: string,
    readonly marker: string,
  ) {}

  /** Once a slice, and once a second: forgets what is over. */
  sweep(slice: number): void {
    if (slice === this.swept && this.last < this.sweepAt) return
    this.swept = slice
    this.sweepAt = this.last + SWEEP_EVERY
    for (const filed of this.files.keys()) if (filed < slice) this.files.delete(filed)
    for (const [key, until] of this.blocks) if (until <= this.last) this.blocks.delete(key)
    for (const [node, until] of this.present) if (until <= this.last) this.present.delete(node)
    for (const [node, { until }] of this.sequences) if (until <= this.last) this.sequences.delete(node)
  }
}

/**
 * A limiter's view of the counts, by its own numbers. The Lua script `store/redis/engine.lua.ts` does the same
 * on Redis; one conformance suite holds them together.
 */
class MemoryTable implements Table {
  readonly known = true
  readonly place = 'memory'
  readonly answersAtOnce = true
  private readonly files
  private readonly blocks
  private readonly changes

  /** By what the operations of a request go. */
  private terms: Terms
  /** Of a request. */
  private booked: Map<string, number> | undefined
  private given: Map<string, GivenBack> | undefined
  private readonly planTerms: Terms
  private readonly ownTerms: Terms

  constructor(
    private readonly own: Algorithm,
    private readonly counts: Counts,
    private readonly time: () => number,
  ) {
    this.planTerms = { limit: own, follows: false }
    this.ownTerms = { limit: own, follows: true }
    this.terms = this.planTerms
    this.files = counts.files
    this.blocks = counts.blocks
    this.changes = counts.changes
  }

  private get limit(): Algorithm {
    return this.terms.limit
  }

  now(): number {
    this.counts.last = Math.max(this.counts.last, this.time())
    return this.counts.last
  }

  latest(): number {
    return this.now()
  }

  isLone(shared: () => void): boolean {
    if (this.counts.tables > 1) return false
    this.counts.shared = shared
    return true
  }

  async exchange(request: Request): Promise<Reply> {
    const { now, slice } = this.begin(request)
    const results = request.operations.map((operation) => this.carryOut(operation, request, now, slice))
    return this.reply(request, now, slice, results)
  }

  /** @throws StoreError where the request is late, or was here before */
  begin(request: Request): { now: number; slice: number } {
    const now = this.now()
    const slice = Math.floor(now / this.own.window)
    const { counts } = this
    counts.sweep(slice)
    const { node, presence } = request
    if (request.deadline > 0 && now > request.deadline) throw lateError()
    if (request.sequence > 0) {
      if (request.sequence <= (counts.sequences.get(node)?.last ?? 0)) throw repeatedError()
      counts.sequences.set(node, { last: request.sequence, until: now + SEQUENCES_KEPT })
    }
    if (presence > 0) counts.present.set(node, now + presence)
    this.terms = this.goBy(request.limit, now)
    this.booked = undefined
    this.given = undefined
    if (request.since >= 0) counts.smallest = Math.min(counts.smallest, this.limit.limit)
    return { now, slice }
  }

  reply(request: Request, now: number, slice: number, results: Reply['results']): Reply {
    const { counts } = this
    const { node, since } = request
    return {
      now,
      marker: counts.marker,
      nodes: counts.present.size,
      changesFrom: Math.max(counts.changesFrom, now - CHANGES_KEPT),
      changed: since < 0 ? [] : this.changedSince(since, node, now, slice),
      ...(request.limit === undefined ? {} : { limit: counts.limit }),
      ...(this.booked && { booked: this.booked }),
      ...(this.given && { given: this.given }),
      results,
    }
  }

  private goBy(theirs: LimitInForce | undefined, now: number): Terms {
    if (theirs === undefined) return this.planTerms
    const { counts } = this
    const [known = 0] = counts.limit
    const [revision, ...parameters] = theirs
    if (revision !== undefined && (revision === 0 || revision > known)) {
      counts.limit = [revision === 0 ? Math.max(now, known + 1) : revision, ...parameters]
      counts.set = { terms: { limit: this.own.with(parameters), follows: true }, since: now }
    }
    return counts.set?.terms ?? this.ownTerms
  }

  private carryOut(
    operation: Operation,
    request: Request,
    now: number,
    slice: number,
  ): readonly Decision[] | Snapshot | undefined {
    const key = operation[1]
    const { node, extra } = request
    let starts: readonly number[] | undefined
    switch (operation[0]) {
      case 'take':
        return this.take(key, operation.slice(2) as number[], now, slice)
      case 'peek':
        return [this.peek(key, 1, now, slice)]
      case 'read':
        if (operation[2] !== undefined) starts = this.grant(key, node, 0, now, slice, operation[2], extra)
        break
      case 'settle':
        starts = this.settle(operation, node, now, slice, extra)
        break
      case 'raise': {
        const isAsSeen = this.isAsSeen(operation, node, now, slice)
        this.settle(settlementOf(operation), node, now, slice, extra)
        if (isAsSeen) return undefined
        break
      }
      case 'restore':
        this.settle(operation, node, now, slice, extra)
        return undefined
      case 'refund':
        if (operation[5] === undefined || operation[5] === this.counts.marker)
          this.refund(operation, now, slice)
        break
      case 'charge':
        this.charge(key, operation[2], now, slice)
        break
      case 'block':
        this.blocks.set(key, now + operation[2])
        this.changed(key, now)
        break
      case 'reset':
        this.reset(operation, node, now, slice)
        break
    }
    const snapshot = this.snapshot(key, node, now, slice)
    if (starts !== undefined && snapshot.entries !== undefined) snapshot.starts = starts
    return snapshot
  }

  private create(): Row {
    return new Row(this.terms, this.limit.create())
  }

  /** From here on the key goes by this limit, also where nothing is taken. */
  take(key: string, costs: readonly number[], now: number, slice: number): Decision[] {
    const row = this.find(key, now, slice) ?? this.create()
    let changed = row.goBy(this.terms, now)
    if (row.bookedInAll > 0) this.booked = (this.booked ?? new Map()).set(key, row.bookedInAll)
    const { given } = row
    if (given !== NOTHING_GIVEN) this.given = (this.given ?? new Map()).set(key, given)
    const decisions = costs.map((cost) => {
      const decision = this.decide(key, row, now, cost, true)
      changed ||= decision.allowed
      return decision
    })
    if (changed) this.file(key, row, slice)
    return decisions
  }

  peek(key: string, cost: number, now: number, slice: number): Decision {
    return this.decide(key, this.find(key, now, slice) ?? this.create(), now, cost, false)
  }

  private decide(key: string, row: Row, now: number, cost: number, consume: boolean): Decision {
    const blockedFor = (this.blocks.get(key) ?? 0) - now
    const takes = consume && blockedFor <= 0
    const state = row.bookedInAll > 0 ? this.withBooked(row, now) : row.state
    const decision = withoutBooked(this.limit.take(state, now, cost, 'store', takes), row.bookedInAll)
    if (takes && decision.allowed && state !== row.state) this.limit.settle(row.state, now, 0, cost)
    if (blockedFor <= 0) return decision
    return blockedDecision(decision, blockedFor, resetAfterOf(this.limit, state, now))
  }

  /** What is booked counts as if it were spent now. */
  private withBooked(row: Row, now: number): unknown {
    const numbers = new Numbers()
    this.limit.usage(row.state, now)
    this.limit.save(row.state, numbers)
    const state = this.limit.create()
    this.limit.load(state, numbers)
    this.limit.settle(state, now, 0, row.bookedInAll)
    return state
  }

  private settle(
    operation: Operation & { 0: 'settle' | 'restore' },
    node: string,
    now: number,
    slice: number,
    extra: number,
  ): readonly number[] | undefined {
    const [, key, generation, theirs, current, late, ask, entries, lateEntries] = operation
    const row = this.find(key, now, slice) ?? this.create()
    if (generation < row.generation) return undefined
    const cell = row.cell(node, slice)
    const behind = slice - theirs
    if (late)
      this.giveBack(
        key,
        row,
        now,
        behind + 1,
        row.merge(cell, this.terms, now, behind + 1, late, lateEntries),
      )
    this.giveBack(key, row, now, behind, row.merge(cell, this.terms, now, behind, current, entries))
    this.file(key, row, slice)
    return ask ? this.grant(key, node, behind === 0 ? current[2] : 0, now, slice, ask, extra) : undefined
  }

  private isAsSeen(
    [, key, theirs, raised, late, , count, previous, admitted, demand]: Raise,
    node: string,
    now: number,
    slice: number,
  ): boolean {
    const row = this.find(key, now, slice)
    const cell = row?.aloneOf(node, slice)
    if (row === undefined || cell === undefined || (this.blocks.get(key) ?? 0) > now) return false
    this.limit.usage(row.state, now)
    lies.c = 0
    this.limit.save(row.state, lies)
    return (
      theirs === slice &&
      raised >= admitted &&
      lies.b === count &&
      lies.c === previous &&
      cell.part(slice).admitted === admitted &&
      cell.part(slice - 1).admitted === late &&
      row.demand === demand
    )
  }

  private grant(
    key: string,
    node: string,
    known: number,
    now: number,
    slice: number,
    ask: Ask,
    extra: number,
  ): readonly number[] | undefined {
    if ((this.blocks.get(key) ?? 0) > now) return undefined
    const row = this.find(key, now, slice) ?? this.create()
    const starts = row.grant(row.cell(node, slice), known, this.terms, now, ask, extra)
    this.file(key, row, slice)
    return starts
  }

  /**
   * A refund that more than doubles what is left must reach every node soon, since those that deny the key do not ask. By a
   * smaller one such a node is late: it hears of it when it asks again.
   */
  private giveBack(
    key: string,
    row: Row,
    now: number,
    behind: number,
    cost: number,
    at?: number,
    beside?: number,
    rate?: number,
  ): void {
    if (cost === 0) return
    const smallest = Math.min(this.limit.limit, this.counts.smallest)
    const used = this.limit.usage(row.state, now)
    if (used + row.bookedInAll + Math.min(cost, used) > smallest) this.changed(key, now)
    row.refund(this.limit, now, behind, cost, at, beside, rate)
  }

  private refund(operation: Operation & { 0: 'refund' }, now: number, slice: number): void {
    const [, key, cost, at, beside = 0, , others = NONE_IN_USE] = operation
    const row = this.find(key, now, slice)
    if (row === undefined) return
    const behind = at === undefined ? 0 : slice - Math.floor(at / this.limit.window)
    // What was taken before a reset, or counts no more, is not there to be given back.
    if (behind > this.limit.lateSlices || (at !== undefined && row.generation > 0 && at <= row.generation))
      return
    const left = cost - (at === undefined ? 0 : row.bookedAhead(this.limit, behind))
    if (left <= 0) return
    const [, drained, , , rateThen, heard] = others
    const faster = at === undefined ? 0 : row.fastestSince(heard)
    const kept = faster > 0 && heard !== at ? 0 : keptOf(others, row.given)
    // What had drained of what was beside it by then matters only while some of that is kept.
    const from = at === undefined || kept === 0 ? at : at - drained
    this.giveBack(key, row, now, behind, left, from, beside + kept, Math.max(rateThen, faster))
    this.file(key, row, slice)
  }

  /** Must reach every node: those that still allow the key do not ask. */
  private charge(key: string, cost: number, now: number, slice: number): void {
    const row = this.find(key, now, slice) ?? this.create()
    const used = this.limit.usage(row.state, now)
    if (used === 0) row.goBy(this.terms, now)
    const most = MOST_CHARGED - used
    if (most > 0) this.limit.settle(row.state, now, 0, Math.min(cost, most))
    this.file(key, row, slice)
    this.changed(key, now)
  }

  /** The row that stays is a tombstone: what was admitted before the reset and arrives later is dropped. */
  private reset(operation: Operation & { 0: 'reset' }, node: string, now: number, slice: number): void {
    const [, key, theirs, granted = 0] = operation
    const row = this.create()
    row.follow(this.find(key, now, slice) ?? row, now, slice, node, theirs === slice ? granted : 0)
    this.blocks.delete(key)
    this.file(key, row, slice)
    this.changed(key, now)
  }

  private snapshot(key: string, node: string, now: number, slice: number): Snapshot {
    const snapshot = new Snapshot(key)
    const row = this.find(key, now, slice) ?? this.create()
    this.limit.usage(row.state, now)
    this.limit.save(row.state, snapshot)
    if (snapshot.entries !== undefined) snapshot.entries = mergeEntries(snapshot.entries)
    snapshot.generation = row.generation
    const blockedUntil = this.blocks.get(key) ?? 0
    snapshot.blockedUntil = blockedUntil > now ? blockedUntil : 0
    snapshot.slice = slice
    snapshot.elsewhere = row.bookedElsewhere(node, slice)
    snapshot.demand = row.demand
    snapshot.given = row.given
    snapshot.isAlone = isWindow(this.limit) && row.aloneOf(node, slice) !== undefined
    const cell = row.cellOf(node)
    if (cell !== undefined) {
      const current = cell.part(slice)
      const late = cell.part(slice - 1)
      snapshot.admitted = current.admitted
      snapshot.refunded = current.refunded
      snapshot.returned = current.returned
      snapshot.granted = current.granted
      snapshot.lateAdmitted = late.admitted
      snapshot.lateRefunded = late.refunded
      snapshot.lateReturned = late.returned
      snapshot.lateGranted = late.granted
    }
    return snapshot
  }

  private changed(key: string, now: number): void {
    this.changes.delete(key)
    this.changes.set(key, now)
    for (const [oldest, time] of this.changes) {
      if (this.changes.size <= MOST_CHANGES && time >= now - CHANGES_KEPT) break
      this.changes.delete(oldest)
      this.counts.changesFrom = time + 1
    }
  }

  private changedSince(since: number, node: string, now: number, slice: number): Snapshot[] {
    const changed: Snapshot[] = []
    for (const [key, time] of this.changes)
      if (time >= Math.max(since, now - CHANGES_KEPT)) changed.push(this.snapshot(key, node, now, slice))
    return changed
  }

  /** As it is now. Where it gave way to a limit that was set, it may be worth something for longer. */
  private find(key: string, now: number, slice: number): Row | undefined {
    for (const [filed, file] of this.files) {
      const row = filed >= slice ? file.get(key) : undefined
      if (row === undefined) continue
      if (row.pass(now, slice, this.counts.set)) this.file(key, row, slice)
      return row
    }
    return undefined
  }

  /** Files a row under the last slice in which it is worth anything; never under an earlier one than before. */
  private file(key: string, row: Row, slice: number): void {
    const worth = Math.floor((row.noteUse() - 1) / this.limit.window)
    const ledger =
      row.isSettled || row.generation > 0
        ? row.settled + (row.bookedInAll > 0 ? 2 : 1) * this.limit.lateSlices
        : 0
    const filed = Math.min(Math.max(row.filed, worth, ledger, slice), slice + FURTHEST_SLICE)
    if (filed !== row.filed) this.files.get(row.filed)?.delete(key)
    row.filed = filed
    let file = this.files.get(filed)
    if (file === undefined) {
      file = new Map()
      this.files.set(filed, file)
    }
    file.set(key, row)
  }
}

class MemoryJointTable implements JointTable {
  constructor(private readonly tables: readonly MemoryTable[]) {}

  async exchange(requests: readonly Request[], reserve: boolean): Promise<readonly Reply[]> {
    const { tables } = this
    const begun = tables.map((table, place) => table.begin(requests[place] as Request))
    const results: (readonly Decision[])[][] = tables.map(() => [])
    const [first] = requests as [Request]
    for (const [turn, { 0: what, length }] of first.operations.entries()) {
      if (what === 'peek') {
        for (const [at, table] of tables.entries()) {
          const [, key] = (requests[at] as Request).operations[turn] as Operation
          const { now, slice } = begun[at] as { now: number; slice: number }
          results[at]?.push([table.peek(key, 1, now, slice)])
        }
        continue
      }
      const decisions: Decision[][] = tables.map(() => [])
      for (let place = 2; place < length; place++) {
        const asked = tables.map((table, at) => {
          const [, key, ...costs] = (requests[at] as Request).operations[turn] as Operation & { 0: 'take' }
          const { now, slice } = begun[at] as { now: number; slice: number }
          return { table, key, cost: costs[place - 2] as number, now, slice }
        })
        const peeked = asked.map(({ table, key, cost, now, slice }) => table.peek(key, cost, now, slice))
        const payer = payerOf(reserve ? peeked.slice(0, -1) : peeked, reserve ? peeked.at(-1) : undefined)
        for (const [at, { table, key, cost, now, slice }] of asked.entries()) {
          const pays = payer === (reserve && at === tables.length - 1 ? 'reserve' : 'limits')
          const [taken] = table.take(key, pays ? [cost] : [], now, slice)
          const decision = taken ?? peeked[at]
          decisions[at]?.push(decision as Decision)
        }
      }
      for (const [at, result] of results.entries()) result.push(decisions[at] as Decision[])
    }
    return tables.map((table, at) => {
      const { now, slice } = begun[at] as { now: number; slice: number }
      return table.reply(requests[at] as Request, now, slice, results[at] as Decision[][])
    })
  }
}

class MemoryStore implements Store {
  private readonly counts = new Map<string, Counts>()
  private readonly time: () => number

  constructor(clock: Clock) {
    const offset = clock.wall() - clock.monotonic()
    this.time = () => Math.floor(clock.monotonic() + offset)
  }

  open(name: string, limit: Algorithm): MemoryTable {
    const ours = signature(limit)
    let counts = this.counts.get(name)
    if (counts === undefined) {
      counts = new Counts(ours, randomUUID())
      this.counts.set(name, counts)
    }
    if (counts.signature !== ours) {
      throw new ConfigError('ERR_MISMATCH', mismatchMessage(name, counts.signature, ours))
    }
    counts.tables++
    counts.shared?.()
    counts.shared = undefined
    return new MemoryTable(limit, counts, this.time)
  }

  join(tables: readonly TableName[]): JointTable {
    return new MemoryJointTable(tables.map(({ table, limit }) => this.open(table, limit)))
  }

  async close(): Promise<void> {}
}

/**
 * Counts in this process's RAM: the default, for one process and for tests. Limiters with the same name on
 * the same store share their counts. Time begins at the machine's clock and then follows the monotonic one.
 *
 * @example
 * ```ts
 * import { createLimiter, fixedWindow, memoryStore } from '@spillway/core'
 *
 * const store = memoryStore()
 * const limit = fixedWindow({ limit: 1, window: '1h' })
 * const one = createLimiter({ name: 'api', limit, store })
 * const two = createLimiter({ name: 'api', limit, store })
 * console.log((await one.check('user:42')).allowed) // true
 * console.log((await two.check('user:42')).allowed) // false
 * ```
 */
export function memoryStore(options: { clock?: Clock | undefined } = {}): Store {
  if (!holdsOptions(options)) {
    throw new ConfigError(
      'ERR_OPTION',
      `memoryStore was given ${show(options)}: give an object such as { clock }, or nothing`,
    )
  }
  checkOptionNames(options, 'memoryStore', ['clock'])
  const { clock = systemClock } = options
  checkClock(clock)
  return new MemoryStore(clock)
}
