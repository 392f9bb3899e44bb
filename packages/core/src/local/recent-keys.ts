import { LRUCache } from 'lru-cache'
import type { LocalKey } from './local-key.ts'

/** A `Map`, and the `lru-cache` built on one, stops the process for 12 ms and more when it grows beyond this. */
const MOST_IN_A_SHARD = 2 ** 15
/** `lru-cache` makes an object for each call that is given none. */
const NO_OPTIONS = {}

type Shard = LRUCache<string, LocalKey>

/** Keys by when they were last used: in shards that each forget their own oldest, and are made when first needed. */
export class RecentKeys {
  private readonly shards: (Shard | undefined)[]

  constructor(
    private readonly max: number,
    private readonly evicted: (key: LocalKey, name: string) => void,
  ) {
    this.shards = Array.from({ length: Math.ceil(max / MOST_IN_A_SHARD) }, () => undefined)
  }

  private open(place: number): Shard {
    const shard: Shard = new LRUCache({
      max: Math.ceil(this.max / this.shards.length),
      dispose: (key, name, reason) => {
        if (reason === 'evict') this.evicted(key, name)
      },
    })
    this.shards[place] = shard
    return shard
  }

  /** By FNV-1a, so that the shards fill alike; where there is but one, nothing is to be hashed. */
  private placeOf(name: string): number {
    const count = this.shards.length
    if (count === 1) return 0
    let hash = 0x811c9dc5
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    return ((hash ^ (hash >>> 15)) >>> 0) % count
  }

  get(name: string): LocalKey | undefined {
    return this.shards[this.placeOf(name)]?.get(name, NO_OPTIONS)
  }

  set(name: string, key: LocalKey): void {
    const place = this.placeOf(name)
    const shard = this.shards[place] ?? this.open(place)
    shard.set(name, key)
  }

  delete(name: string): void {
    this.shards[this.placeOf(name)]?.delete(name)
  }

  get size(): number {
    let size = 0
    for (const shard of this.shards) size += shard?.size ?? 0
    return size
  }

  *values(): Generator<LocalKey> {
    for (const shard of this.shards) if (shard !== undefined) yield* shard.values()
  }
}
