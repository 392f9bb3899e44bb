import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import type { Timer } from '../clock.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { Settings } from '../options.ts'
import type { Reply, Snapshot } from '../store/store.ts'
import { LocalKey } from './local-key.ts'

/** Keys that travel in one command. */
const MOST_KEYS = 500
/** Commands under way at once. */
const IN_FLIGHT = 2
/** The part of `maxKeys` that is kept for keys over their limit or blocked. */
const RESERVE = 1 / 8
/** After this many answers that do not acknowledge what was sent, a flush gives up. */
const MOST_PASSES = 20

/** The keys of a soft node, and their settlement with the store: each interval, and at once for cold ones. */
export class Sync {
  /** Pending cost that can no longer be settled, since its window is over. */
  expired = 0
  evicted = 0
  nodes = 1
  /** Monotonic time of the last answer. */
  heardAt: number
  private readonly keys: LRUCache<string, LocalKey>
  /** Evicted keys that are over their limit or blocked: they are forgotten last. */
  private readonly denying: LRUCache<string, LocalKey>
  /** Keys that owe something but were evicted; none is forgotten before it is settled. */
  private readonly owing = new Map<string, LocalKey>()
  private dirty: LocalKey[] = []
  private cold: LocalKey[] = []
  private readonly flushes = pLimit(IN_FLIGHT)
  private readonly reads = pLimit(IN_FLIGHT)
  private readonly underWay = new Set<Promise<void>>()
  private coldDeadline = 0
  private timer: Timer | undefined
  private marker: string | undefined
  private since = -1
  private closed = false

  constructor(
    private readonly link: Link,
    private readonly settings: Settings,
  ) {
    this.heardAt = settings.clock.monotonic()
    const reserve = Math.floor(settings.maxKeys * RESERVE)
    this.keys = new LRUCache({
      max: settings.maxKeys - reserve,
      dispose: (key, name, reason) => {
        if (reason !== 'evict') return
        if (key.owes || key.inFlight || key.stale || key.waiting !== undefined) this.owing.set(name, key)
        else if (reserve > 0 && key.denies(link.table.now())) this.denying.set(name, key)
        else this.countEviction(key)
      },
    })
    this.denying = new LRUCache({
      max: Math.max(1, reserve),
      dispose: (key, _, reason) => {
        if (reason === 'evict') this.countEviction(key)
      },
    })
  }

  private countEviction(key: LocalKey): void {
    if (this.settings.limit.endsAt(key.state) > this.link.table.now()) this.evicted++
  }

  get size(): number {
    return this.keys.size + this.owing.size + this.denying.size
  }

  get pending(): number {
    let pending = 0
    for (const key of this.all()) pending += key.pending
    return pending
  }

  private *all(): Iterable<LocalKey> {
    yield* this.keys.values()
    yield* this.owing.values()
    yield* this.denying.values()
  }

  find(name: string): LocalKey | undefined {
    const key = this.keys.get(name)
    if (key !== undefined) return key
    const owing = this.owing.get(name) ?? this.denying.get(name)
    if (owing !== undefined) {
      this.owing.delete(name)
      this.denying.delete(name)
      this.keys.set(name, owing)
    }
    return owing
  }

  /** Whether as many keys owe something as may be held, so that no other can be taken in. */
  get full(): boolean {
    return this.dirty.length >= this.settings.maxKeys
  }

  /** Takes a key into RAM, and asks the store about it at once. */
  add(name: string): LocalKey {
    const { table } = this.link
    const key = new LocalKey(
      name,
      this.settings.limit,
      table.known ? undefined : table.now() - this.settings.clock.monotonic(),
    )
    this.keys.set(name, key)
    this.queue(key)
    this.arm()
    return key
  }

  /** The key owes something, or is unknown. A cold key is settled at once, another at the next interval. */
  queue(key: LocalKey): void {
    // One that is in flight is queued again with its answer.
    if (key.queued || key.inFlight) return
    key.queued = true
    if (key.settledOnce || this.link.away) {
      this.dirty.push(key)
      if (this.full) void this.flushDirty().catch(() => {})
      return
    }
    this.cold.push(key)
    if (this.cold.length > 1) return
    this.coldDeadline = this.settings.clock.monotonic() + this.settings.timeout
    void this.reads(() => this.settleCold())
  }

  /** Asks about an unknown key now, also if an earlier question was not answered. */
  ask(key: LocalKey): void {
    if (key.queued && !this.cold.includes(key)) {
      this.dirty = this.dirty.filter((other) => other !== key)
      key.queued = false
    }
    this.queue(key)
  }

  /** The key, held again where it was evicted while its check waited; or what has taken its place. */
  hold(key: LocalKey): LocalKey {
    const held = this.find(key.key)
    if (held === undefined) this.keys.set(key.key, key)
    return held ?? key
  }

  private async settleCold(): Promise<void> {
    const keys = this.cold
    this.cold = []
    await Promise.all(this.chunks(keys).map((chunk) => this.send(chunk, this.coldDeadline, false))).catch(
      () => {},
    )
  }

  private chunks(keys: LocalKey[]): LocalKey[][] {
    const chunks: LocalKey[][] = []
    for (let first = 0; first < keys.length; first += MOST_KEYS)
      chunks.push(keys.slice(first, first + MOST_KEYS))
    return chunks
  }

  /** The next interval, up to a fifth earlier, so that nodes do not flush together. */
  private arm(): void {
    if (this.timer !== undefined || this.closed) return
    const { clock, interval, random } = this.settings
    this.timer = clock.setTimer(() => this.tick(), Math.max(1, interval * (0.8 + 0.2 * random())))
  }

  private async tick(): Promise<void> {
    await this.flushDirty().catch(() => {})
    this.timer = undefined
    if (this.size > 0) this.arm()
  }

  /** Settles what is dirty now; with nothing dirty, only asks what changed. */
  private async flushDirty(): Promise<void> {
    const keys = this.dirty.filter((key) => !key.inFlight)
    this.dirty = this.dirty.filter((key) => key.inFlight)
    const chunks = this.chunks(keys)
    if (chunks.length === 0) chunks.push([])
    const sent = chunks.map((chunk, place) =>
      this.flushes(() =>
        this.send(chunk, this.settings.clock.monotonic() + this.settings.timeout, place === 0),
      ),
    )
    const results = await Promise.allSettled(sent)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Settles all that is owed at the call. @throws StoreError where the store does not acknowledge it */
  async flush(): Promise<void> {
    await this.settle([...this.all()])
  }

  /** Settles what these keys owe at the call; what they come to owe meanwhile may stay. */
  async settle(keys: readonly LocalKey[]): Promise<void> {
    const owing = keys.filter((key) => key.owes || key.inFlight)
    if (owing.length === 0) return
    // After this pass the counters of keys that were unknown are those of the store's ledger.
    await this.pass(owing)
    const debts = owing.flatMap((key) => key.debts())
    for (let passes = 0; passes < MOST_PASSES; passes++) {
      const unpaid = debts.filter((debt) => !debt.paid)
      if (unpaid.length === 0) return
      await this.pass(unpaid.map((debt) => debt.key))
    }
    throw new StoreError('ERR_STORE_REPLY', 'the store answers but does not acknowledge what is pending')
  }

  private async pass(keys: readonly LocalKey[]): Promise<void> {
    if (this.link.barred) throw new StoreError('ERR_STORE_AWAY', 'the store is away; what is pending is kept')
    for (const key of keys) if (key.owes) this.queue(key)
    await this.flushDirty()
    await this.reads(() => undefined)
    await Promise.allSettled(this.underWay)
  }

  private send(keys: LocalKey[], deadline: number, changes: boolean): Promise<void> {
    const sent = this.exchange(keys, deadline, changes).finally(() => this.underWay.delete(sent))
    this.underWay.add(sent)
    return sent
  }

  private async exchange(keys: LocalKey[], deadline: number, changes: boolean): Promise<void> {
    const operations = keys.map((key) => {
      key.queued = false
      key.inFlight = true
      return key.operation()
    })
    const { interval } = this.settings
    try {
      const extras = changes ? { since: this.since, presence: 3 * interval + 1000 } : {}
      const reply = await this.link.exchange(operations, deadline, extras)
      this.heardAt = this.settings.clock.monotonic()
      for (let place = 0; place < keys.length; place++) {
        this.answered(keys[place] as LocalKey, reply.results[place] as Snapshot)
      }
      if (changes) this.takeChanges(reply)
      // The keys held are as of this first answer: changes are asked for from here on.
      else if (this.since < 0) this.since = reply.now
      this.checkMarker(reply)
    } catch (error) {
      for (const key of keys) this.unanswered(key, error)
      throw error
    }
  }

  private answered(key: LocalKey, snapshot: Snapshot): void {
    key.inFlight = false
    const asked = key.known
    this.expired += key.reconcile(snapshot, this.link.table.now(), this.settings.clock.monotonic())
    key.stale = false
    this.wake(key)
    // A settlement of which nothing was acknowledged is not sent again at once.
    if (key.owes && asked && !key.settledOnce) this.again(key)
    else if (key.owes) this.queue(key)
    else this.release(key)
  }

  private unanswered(key: LocalKey, error: unknown): void {
    key.inFlight = false
    this.wake(key, error)
    if (key.owes || key.stale) this.again(key)
    else this.release(key)
  }

  /** An evicted key that owes nothing any more may be forgotten. */
  private release(key: LocalKey): void {
    if (this.owing.get(key.key) === key) this.owing.delete(key.key)
  }

  /** To be sent at the next interval, though the key may owe nothing or be in flight. */
  private again(key: LocalKey): void {
    if (key.queued) return
    key.queued = true
    this.dirty.push(key)
  }

  private readLater(key: LocalKey): void {
    key.stale = true
    this.again(key)
  }

  private wake(key: LocalKey, error?: unknown): void {
    const { waiting } = key
    key.waiting = undefined
    if (waiting !== undefined) for (const resume of waiting) resume(error)
  }

  /** Keys that were reset, blocked or refunded elsewhere; all of them, where the list does not go back far enough. */
  private takeChanges(reply: Reply): void {
    this.nodes = Math.max(1, reply.nodes)
    if (this.since >= 0 && this.since < reply.changesFrom) this.readAgain()
    this.since = Math.max(this.since, reply.now)
    for (const snapshot of reply.changed) this.takeSnapshot(snapshot)
  }

  /** A snapshot that came unasked, or as the answer to a verb. */
  takeSnapshot(snapshot: Snapshot): void {
    const key = this.find(snapshot.key)
    if (key === undefined) return
    // An answer under way may be older than this, and is taken in later.
    if (key.inFlight) this.readLater(key)
    else if (key.known) this.answered(key, snapshot)
  }

  /** Another marker than before: the store lost its data, and is given again what this node still holds. */
  private checkMarker(reply: Reply): void {
    if (this.marker !== undefined && this.marker !== reply.marker) this.readAgain()
    this.marker = reply.marker
  }

  private readAgain(): void {
    for (const key of this.all()) this.readLater(key)
  }

  async close(): Promise<void> {
    await this.flush().catch(() => {})
    this.closed = true
    if (this.timer !== undefined) this.settings.clock.clearTimer(this.timer)
  }
}
