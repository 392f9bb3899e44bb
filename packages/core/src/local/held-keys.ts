import type { Algorithm } from '../algorithms/algorithm.ts'
import { isUnderWay, isUnqueued } from './key-record.ts'
import { hashOf, KeyTable } from './key-table.ts'
import { LocalKey } from './local-key.ts'
import { Rows } from './rows.ts'

/** How many keys beyond `maxKeys` may be pushed out before the store has heard of them. */
const MOST_IN_A_HURRY = 1000
/** The fraction of `maxKeys` that is kept for keys over their limit or blocked. */
const RESERVE = 1 / 8

/** The keys in RAM. None is forgotten while the store must hear of it, and those that deny are forgotten last. */
export class HeldKeys {
  /** Keys forgotten within their window. */
  evicted = 0
  readonly rows: Rows<LocalKey>
  private readonly recent: KeyTable<LocalKey>
  private readonly hasReserve: boolean
  private readonly denying: KeyTable<LocalKey>
  /** Keys that were pushed out, and can't be forgotten yet. */
  private readonly engaged = new Map<string, LocalKey>()

  constructor(
    private readonly maxKeys: number,
    limit: Algorithm,
    private readonly now: () => number,
    private readonly pushedOut: (key: LocalKey) => void,
  ) {
    const reserve = Math.floor(maxKeys * RESERVE)
    this.hasReserve = reserve > 0
    this.rows = new Rows(() => limit.cells())
    this.recent = new KeyTable(this.rows, maxKeys - reserve, (key) => {
      this.pushedOut(key)
      if (!this.keep(key)) this.letGo(key)
    })
    this.denying = new KeyTable(this.rows, Math.max(1, reserve), (key) => {
      if (!this.keep(key)) this.forget(key)
    })
  }

  private keep(key: LocalKey): boolean {
    if (key.engaged) this.engaged.set(key.key, key)
    return key.engaged
  }

  private letGo(key: LocalKey): void {
    if (this.hasReserve && key.denies(this.now())) this.denying.add(key, hashOf(key.key))
    else this.forget(key)
  }

  private forget(key: LocalKey): void {
    if (key.limit.endsAt(key.state) > this.now()) this.evicted++
    this.rows.delete(key)
  }

  isPushedOut(key: LocalKey): boolean {
    return this.engaged.size > 0 && this.engaged.get(key.key) === key
  }

  /** Whether `maxKeys` keys, and `MOST_IN_A_HURRY` more, were pushed out and can't be forgotten yet. */
  get isFull(): boolean {
    return this.engaged.size >= this.maxKeys + MOST_IN_A_HURRY
  }

  get size(): number {
    return this.rows.size
  }

  [Symbol.iterator](): Iterator<LocalKey> {
    return this.rows[Symbol.iterator]()
  }

  unqueued(): Iterable<LocalKey> {
    return this.rows.those(isUnqueued)
  }

  /** Those that are queued, or sent and not answered yet. */
  underWay(): Iterable<LocalKey> {
    return this.rows.those(isUnderWay)
  }

  /** The row of the key of that name; below 0: it is not held, or was pushed out. */
  findRow(name: string): number {
    return this.recent.find(name, hashOf(name))
  }

  find(name: string): LocalKey | undefined {
    const hash = hashOf(name)
    const row = this.recent.find(name, hash)
    return row < 0 ? this.recall(name, hash) : this.rows.key(row)
  }

  /** Takes back a key that was pushed out and is wanted again. */
  private recall(name: string, hash: number): LocalKey | undefined {
    const key = this.engaged.get(name) ?? this.denied(name, hash)
    if (key === undefined) return undefined
    if (!this.engaged.delete(name)) this.denying.delete(key, hash)
    this.recent.add(key, hash, true)
    return key
  }

  private denied(name: string, hash: number): LocalKey | undefined {
    const row = this.denying.find(name, hash)
    return row < 0 ? undefined : this.rows.key(row)
  }

  /**
   * Holds another key.
   *
   * @param since monotonic time
   * @param guessedOffset store time less monotonic time, where that is only a guess
   */
  add(name: string, limit: Algorithm, since: number, guessedOffset: number | undefined): LocalKey {
    const key = new LocalKey(this.rows, name, limit, since, guessedOffset)
    this.recent.add(key, hashOf(name))
    return key
  }

  /**
   * The store has heard of the key: one that was pushed out may be forgotten, if nothing else is to be done with it.
   */
  release(key: LocalKey): void {
    if (!this.isPushedOut(key) || key.engaged) return
    this.engaged.delete(key.key)
    this.letGo(key)
  }
}
