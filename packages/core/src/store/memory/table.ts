import { type Algorithm, isWindow, Numbers, resetAfterOf } from '../../algorithms/algorithm.ts'
import { blockedDecision, type Decision, withoutBooked } from '../../decision.ts'
import { Row, type Terms } from '../row.ts'
import {
  type Ask,
  CHANGES_KEPT,
  FURTHEST_SLICE,
  type GivenBack,
  keptOf,
  type LimitInForce,
  lateError,
  MOST_CHARGED,
  mergeEntries,
  NONE_IN_USE,
  NOTHING_GIVEN,
  type Operation,
  type Raise,
  type Reply,
  type Request,
  repeatedError,
  Snapshot,
  settlementOf,
  type Table,
} from '../store.ts'
import type { Counts } from './counts.ts'

/** Milliseconds for which a node's last sequence is remembered. */
const SEQUENCES_KEPT = 60_000

/** Scratch space for reading a row's state. */
const lies = new Numbers()

/**
 * A limiter's view of the counts, by its own limit. The Lua script `store/redis/engine.lua.ts` does the same in Redis;
 * one conformance suite tests both.
 */
export class MemoryTable implements Table {
  readonly known = true
  readonly place = 'memory'
  readonly answersAtOnce = true
  private readonly blocks

  /** The terms of the current request. */
  private terms: Terms
  /** Of the current request's reply. */
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
    this.blocks = counts.blocks
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

  /** @throws StoreError if the request is late or was here before */
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
        this.counts.changed(key, now)
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

  /** From here on the key goes by this limit, even if nothing is taken. */
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

  /** The state with what is booked counted as spent now. */
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
   * A refund that more than doubles what is left must reach every node soon, since nodes that deny the key do not ask.
   * A smaller one reaches such a node late, when it asks again.
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
    if (used + row.bookedInAll + Math.min(cost, used) > smallest) this.counts.changed(key, now)
    row.refund(this.limit, now, behind, cost, at, beside, rate)
  }

  private refund(operation: Operation & { 0: 'refund' }, now: number, slice: number): void {
    const [, key, cost, at, beside = 0, , others = NONE_IN_USE] = operation
    const row = this.find(key, now, slice)
    if (row === undefined) return
    const behind = at === undefined ? 0 : slice - Math.floor(at / this.limit.window)
    // What was taken before a reset, or no longer counts, can't be given back.
    if (behind > this.limit.lateSlices || (at !== undefined && row.generation > 0 && at <= row.generation))
      return
    const left = cost - (at === undefined ? 0 : row.bookedAhead(this.limit, behind))
    if (left <= 0) return
    const [, drained, , , rateThen, heard] = others
    const faster = at === undefined ? 0 : row.fastestSince(heard)
    const kept = faster > 0 && heard !== at ? 0 : keptOf(others, row.given)
    // `drained` tells of what was in use beside the take, so it matters only while some of that is kept.
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
    this.counts.changed(key, now)
  }

  /** The row that stays is a tombstone: cost that was admitted before the reset and arrives later is dropped. */
  private reset(operation: Operation & { 0: 'reset' }, node: string, now: number, slice: number): void {
    const [, key, theirs, granted = 0] = operation
    const row = this.create()
    row.follow(this.find(key, now, slice) ?? row, now, slice, node, theirs === slice ? granted : 0)
    this.blocks.delete(key)
    this.file(key, row, slice)
    this.counts.changed(key, now)
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

  private changedSince(since: number, node: string, now: number, slice: number): Snapshot[] {
    return this.counts.changedSince(since, now).map((key) => this.snapshot(key, node, now, slice))
  }

  /** The key's row as of now. If it went over to the limit that was set, it may matter for longer. */
  private find(key: string, now: number, slice: number): Row | undefined {
    const row = this.counts.find(key, slice)
    if (row === undefined) return undefined
    if (row.pass(now, slice, this.counts.set)) this.file(key, row, slice)
    return row
  }

  /** Files a row under the last slice in which it matters, but never under an earlier one than before. */
  private file(key: string, row: Row, slice: number): void {
    const worth = Math.floor((row.noteUse() - 1) / this.limit.window)
    const ledger =
      row.isSettled || row.generation > 0
        ? row.settled + (row.bookedInAll > 0 ? 2 : 1) * this.limit.lateSlices
        : 0
    const filed = Math.min(Math.max(row.filed, worth, ledger, slice), slice + FURTHEST_SLICE)
    this.counts.file(key, row, filed)
  }
}
