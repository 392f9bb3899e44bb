import type { Row, SetLimit } from '../row.ts'
import { CHANGES_KEPT, type LimitInForce, MOST_CHANGES } from '../store.ts'

/** Milliseconds between two sweeps. */
const SWEEP_EVERY = 1000

/** What all limiters of one name share. */
export class Counts {
  /** Rows by the slice they are filed under, so that a slice's rows expire together. */
  private readonly files = new Map<number, Map<string, Row>>()
  readonly blocks = new Map<string, number>()
  private readonly changes = new Map<string, number>()
  changesFrom = 0
  /** The last sequence of each node, and until when it is remembered. */
  readonly sequences = new Map<string, { last: number; until: number }>()
  readonly present = new Map<string, number>()
  /** The limit set while limiters run. */
  limit: LimitInForce = []
  set: SetLimit | undefined
  /** The smallest limit by which a node decides in RAM: several plans share one table. */
  smallest = Infinity
  /** How many tables use these counts, and what a lone one asked to have called when another opens them. */
  tables = 0
  shared: (() => void) | undefined
  last = 0
  swept = -1
  sweepAt = 0

  private ownMarker: string | undefined

  constructor(readonly signature: string) {}

  /** Tells these counts from any others. Drawn when it is first asked for, as a node's id. */
  get marker(): string {
    this.ownMarker ??= crypto.randomUUID()
    return this.ownMarker
  }

  /** Forgets what has expired, once a slice and once a second. */
  sweep(slice: number): void {
    if (slice === this.swept && this.last < this.sweepAt) return
    this.swept = slice
    this.sweepAt = this.last + SWEEP_EVERY
    for (const filed of this.files.keys()) if (filed < slice) this.files.delete(filed)
    for (const [key, until] of this.blocks) if (until <= this.last) this.blocks.delete(key)
    for (const [node, until] of this.present) if (until <= this.last) this.present.delete(node)
    for (const [node, { until }] of this.sequences) if (until <= this.last) this.sequences.delete(node)
  }

  /** The key's row, if it matters in the slice or later. */
  find(key: string, slice: number): Row | undefined {
    for (const [filed, file] of this.files) {
      const row = filed >= slice ? file.get(key) : undefined
      if (row !== undefined) return row
    }
    return undefined
  }

  /** Files the key's row under the slice. */
  file(key: string, row: Row, filed: number): void {
    if (filed !== row.filed) this.files.get(row.filed)?.delete(key)
    row.filed = filed
    let file = this.files.get(filed)
    if (file === undefined) {
      file = new Map()
      this.files.set(filed, file)
    }
    file.set(key, row)
  }

  /** Notes that every node must hear of the key. */
  changed(key: string, now: number): void {
    this.changes.delete(key)
    this.changes.set(key, now)
    for (const [oldest, time] of this.changes) {
      if (this.changes.size <= MOST_CHANGES && time >= now - CHANGES_KEPT) break
      this.changes.delete(oldest)
      this.changesFrom = time + 1
    }
  }

  changedSince(since: number, now: number): string[] {
    const from = Math.max(since, now - CHANGES_KEPT)
    return [...this.changes].filter(([, time]) => time >= from).map(([key]) => key)
  }
}
