import { hashOf, KeyTable } from './key-table.ts'
import type { LocalKey } from './local-key.ts'

/** Keys that may be pushed out, whatever `maxKeys` is, before the store has heard of them. */
const MOST_IN_A_HURRY = 1000
/** The part of `maxKeys` that is kept for keys over their limit or blocked. */
const RESERVE = 1 / 8

/** The keys in RAM. None is forgotten while the store must hear of it, and those that deny are forgotten last. */
export class HeldKeys {
  /** Keys forgotten within their window. */
  evicted = 0
  private readonly recent: KeyTable<LocalKey>
  private readonly hasReserve: boolean
  private readonly denying: KeyTable<LocalKey>
  /** Keys that were pushed out, and can't be forgotten yet. */
  private readonly engaged = new Map<string, LocalKey>()

  constructor(
    private readonly maxKeys: number,
    private readonly now: () => number,
    private readonly pushedOut: (key: LocalKey) => void,
  ) {
    const reserve = Math.floor(maxKeys * RESERVE)
    this.hasReserve = reserve > 0
    this.recent = new KeyTable(maxKeys - reserve, (key) => {
      this.pushedOut(key)
      if (!this.keep(key)) this.letGo(key)
    })
    this.denying = new KeyTable(Math.max(1, reserve), (key) => {
      if (!this.keep(key)) this.count(key)
    })
  }

  private keep(key: LocalKey): boolean {
    if (key.engaged) this.engaged.set(key.key, key)
    return key.engaged
  }

  private letGo(key: LocalKey): void {
    if (this.hasReserve && key.denies(this.now())) this.denying.add(key)
    else this.count(key)
  }

  private count(key: LocalKey): void {
    if (key.limit.endsAt(key.state) > this.now()) this.evicted++
  }

  /** Whether as many keys again as may be held, and some, were pushed out and can't be forgotten yet. */
  get isFull(): boolean {
    return this.engaged.size >= this.maxKeys + MOST_IN_A_HURRY
  }

  get size(): number {
    return this.recent.size + this.engaged.size + this.denying.size
  }

  *[Symbol.iterator](): Iterator<LocalKey> {
    yield* this.recent.values()
    yield* this.engaged.values()
    yield* this.denying.values()
  }

  find(name: string): LocalKey | undefined {
    const hash = hashOf(name)
    return this.recent.get(name, hash) ?? this.recall(name, hash)
  }

  /** One that was pushed out, and is wanted again. */
  private recall(name: string, hash: number): LocalKey | undefined {
    const key = this.engaged.get(name) ?? this.denying.get(name, hash)
    if (key === undefined) return undefined
    if (!this.engaged.delete(name)) this.denying.delete(key)
    this.recent.add(key)
    key.used = true
    return key
  }

  add(key: LocalKey): void {
    this.recent.add(key)
  }

  /** The store has heard of it: one that was pushed out may be forgotten, if nothing else is to be done with it. */
  release(key: LocalKey): void {
    if (key.engaged || this.engaged.get(key.key) !== key) return
    this.engaged.delete(key.key)
    this.letGo(key)
  }
}
