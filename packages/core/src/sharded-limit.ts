import type { Algorithm } from './algorithms/algorithm.ts'
import { type DeciderStats, type Earlier, sumOf, type Taken } from './decider.ts'
import type { Decision } from './decision.ts'
import { checkKey } from './key.ts'
import type { KeyedLimit } from './keyed-limit.ts'
import type { LimitPart } from './limit-parts.ts'
import { codeAt } from './local/key-table.ts'
import type { LocalDecisions } from './local/local-decisions.ts'
import type { SingleLimit } from './single-limit.ts'
import { all } from './under-way.ts'

/** One limit whose keys are spread over several tables, each on a server of its own: every key has its table. */
export class ShardedLimit implements KeyedLimit {
  readonly checkKey: (key: unknown) => asserts key is string = checkKey
  /** Each is made when the first of its keys comes. */
  private readonly shards: (SingleLimit | undefined)[]
  /** What holds the keys of each, in a list of its own: a check of a held key looks at nothing else of a shard. */
  private readonly holders: (LocalDecisions | undefined)[]

  constructor(
    readonly part: LimitPart,
    count: number,
    private readonly make: (part: LimitPart) => SingleLimit,
  ) {
    this.shards = new Array(count).fill(undefined)
    this.holders = new Array(count).fill(undefined)
  }

  of(key: string): SingleLimit {
    return this.shard(this.placeOf(key))
  }

  /** What holds the key, if it is held. Undefined before the first key of the key's shard. */
  holderOf(key: string): LocalDecisions | undefined {
    return this.holders[this.placeOf(key)]
  }

  private placeOf(key: string): number {
    return hash(key) % this.shards.length
  }

  private shard(place: number): SingleLimit {
    let shard = this.shards[place]
    if (shard === undefined) {
      shard = this.make({ ...this.part, shard: place })
      this.shards[place] = shard
      this.holders[place] = shard.local?.decisions
    }
    return shard
  }

  private get made(): readonly SingleLimit[] {
    return this.shards.filter((shard) => shard !== undefined)
  }

  get limit(): Algorithm {
    return (this.made[0] ?? this.part).limit
  }

  get name(): string {
    return (this.made[0] ?? this.part).name
  }

  check(key: string, cost: number): Decision | Promise<Decision> {
    return this.of(key).check(key, cost)
  }

  take(key: string, cost: number): Promise<Taken> {
    return this.of(key).take(key, cost)
  }

  checkSync(key: string, cost: number): Decision {
    return this.of(key).checkSync(key, cost)
  }

  peek(key: string): Promise<Decision> {
    return this.of(key).peek(key)
  }

  refund(key: string, cost: number, earlier?: Earlier): Promise<void> {
    return this.of(key).refund(key, cost, earlier)
  }

  charge(key: string, cost: number): Promise<void> {
    return this.of(key).charge(key, cost)
  }

  block(key: string, ms: number): Promise<void> {
    return this.of(key).block(key, ms)
  }

  reset(key: string): Promise<void> {
    return this.of(key).reset(key)
  }

  setLimit(limit: Algorithm): Promise<void> {
    return all(Array.from(this.shards, (_, place) => this.shard(place).setLimit(limit)))
  }

  probe(): void {
    for (const shard of this.made) shard.probe()
  }

  end(): void {
    for (const shard of this.made) shard.end()
  }

  flush(): Promise<void> {
    return all(this.made.map((shard) => shard.flush()))
  }

  async close(): Promise<void> {
    await Promise.all(this.made.map((shard) => shard.close()))
  }

  stats(): DeciderStats {
    return sumOf(this.made.map((shard) => shard.stats()))
  }
}

/** FNV-1a of the key's UTF-16 units, in 32 bits: the same on all nodes. http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(key: string): number {
  let hash = 0x811c9dc5
  for (let place = 0; place < key.length; place++) hash = Math.imul(hash ^ codeAt(key, place), 0x01000193)
  return hash >>> 0
}
