import { all, type Decider, type DeciderStats, sumOf } from './decider.ts'
import { ConfigError } from './errors.ts'
import type { KeyedLimit } from './keyed-limit.ts'
import {
  checkSameKind,
  type LimitPart,
  type Limits,
  limitParts,
  type ScopeKeys,
  type Scopes,
} from './limit-parts.ts'
import type { Settings } from './options.ts'
import { SeveralLimits } from './several-limits.ts'
import { ShardedLimit } from './sharded-limit.ts'
import { SingleLimit } from './single-limit.ts'
import { Spike } from './spike.ts'

/** The most limits that checks choose between: more tell of limits that are made anew for each check. */
const MOST_PLANS = 100

/** The limits of a limiter, and those that checks choose in their place. */
export class Plans<K extends string | ScopeKeys> {
  /** What a check goes by that chooses none. */
  readonly own: Decider<K>
  /** What lets a key exceed them, if anything does. */
  readonly spike: Spike | undefined
  private readonly singles = new Map<string, Map<unknown, KeyedLimit>>()
  private readonly chosen = new Map<unknown, Decider<K>>()
  private readonly limitsOf = new Map<unknown, readonly KeyedLimit[]>()
  private readonly parts: readonly LimitPart[]
  private away = 0

  /** @param changed is told when the store goes away, and when it is back for all limits */
  constructor(
    private readonly settings: Settings,
    private readonly changed: (away: boolean) => void,
  ) {
    this.parts = settings.parts
    this.own = this.deciderOf(this.parts, true)
    this.spike =
      settings.reserve &&
      new Spike(
        this.single(settings.reserve, false),
        settings,
        (decider) => this.limitsOf.get(decider) as SingleLimit[],
      )
  }

  private deciderOf(parts: readonly LimitPart[], follows: boolean): Decider<K> {
    const limits = parts.map((part) => this.single(part, follows))
    const [first] = limits
    const alone = limits.length === 1 && first?.part.scope === undefined
    const decider = alone ? (first as unknown as Decider<K>) : new SeveralLimits<K>(limits, this.settings)
    this.limitsOf.set(decider, limits)
    return decider
  }

  private single(part: LimitPart, follows: boolean): KeyedLimit {
    let ofTable = this.singles.get(part.table)
    if (ofTable === undefined) {
      ofTable = new Map()
      this.singles.set(part.table, ofTable)
    }
    let single = ofTable.get(part.limit)
    if (single === undefined) {
      single = this.make(part, follows)
      ofTable.set(part.limit, single)
    }
    return single
  }

  private make(part: LimitPart, follows: boolean): KeyedLimit {
    const { settings } = this
    const changed = (away: boolean) => this.count(away)
    const { shards = 1 } = settings.store
    if (shards === 1) return new SingleLimit(settings, part, follows, changed)
    const its = { ...settings, maxKeys: Math.ceil(settings.maxKeys / shards) }
    return new ShardedLimit(part, shards, (part) => new SingleLimit(its, part, follows, changed))
  }

  private count(away: boolean): void {
    const before = this.away
    this.away += away ? 1 : -1
    if (before === 0 || this.away === 0) this.changed(away)
  }

  /**
   * What a check goes by.
   *
   * @throws ConfigError `ERR_OPTION`, `ERR_MISMATCH`
   */
  of(limit: Limits | Partial<Scopes> | undefined): Decider<K> {
    if (limit === undefined) return this.own
    return this.chosen.get(limit) ?? this.choose(limit)
  }

  private choose(limit: Limits | Partial<Scopes>): Decider<K> {
    const decider = this.deciderOf(this.fitting(limit), false)
    if (this.chosen.size >= MOST_PLANS) {
      throw new ConfigError(
        'ERR_OPTION',
        `checks have chosen ${MOST_PLANS} different limits: make each limit once, and give the same one again`,
      )
    }
    this.chosen.set(limit, decider)
    return decider
  }

  /** The limiter's own parts, with the numbers of those that are given. */
  private fitting(limit: Limits | Partial<Scopes>): LimitPart[] {
    const given = limitParts(this.settings.name, limit as Limits | Scopes)
    const scopes = new Set(given.map(({ scope }) => scope))
    for (const part of given)
      checkSameKind(
        part,
        this.parts.find(({ table }) => table === part.table),
      )
    return this.parts.map((part) => {
      if (!scopes.has(part.scope)) return part
      const theirs = given.find(({ table }) => table === part.table)
      checkSameKind(part, theirs)
      return theirs
    })
  }

  /** All nodes go by these numbers. @throws ConfigError `ERR_MISMATCH`; StoreError */
  async set(limit: Limits | Partial<Scopes>): Promise<void> {
    const parts = this.fitting(limit)
    const changed = parts.filter((part) => !this.parts.includes(part))
    await Promise.all(changed.map((part) => this.ownOf(part).setLimit(part.limit)))
  }

  private ownOf({ table }: LimitPart): KeyedLimit {
    const own = this.parts.find((part) => part.table === table) as LimitPart
    return this.single(own, true)
  }

  private get all(): KeyedLimit[] {
    return [...this.singles.values()].flatMap((ofTable) => [...ofTable.values()])
  }

  flush(): Promise<void> {
    return all(this.all.map((single) => single.flush()))
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((single) => single.close()))
  }

  stats(): DeciderStats {
    return sumOf(this.all.map((single) => single.stats()))
  }
}
