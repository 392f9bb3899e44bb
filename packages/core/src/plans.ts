import { type Decider, type DeciderStats, sumOf } from './decider.ts'
import type { NamedLimit } from './decision.ts'
import { ConfigError, show } from './errors.ts'
import { askedOf, type KeyedLimit } from './keyed-limit.ts'
import {
  checkSameKind,
  keyIn,
  type LimitPart,
  type Limits,
  limitParts,
  type ScopeKeys,
  type Scopes,
  toldApart,
} from './limit-parts.ts'
import { Burst } from './local/burst.ts'
import type { Settings } from './options.ts'
import { SeveralLimits } from './several-limits.ts'
import { ShardedLimit } from './sharded-limit.ts'
import { SingleLimit } from './single-limit.ts'
import { Spike } from './spike.ts'
import { all } from './under-way.ts'

/** The most limits that checks choose between: more suggest that limits are made anew for each check. */
const MOST_PLANS = 100

/** A limiter's own limits, and those that checks choose in their place. */
export class Plans<K extends string | ScopeKeys> {
  /** What decides a check that chooses none. */
  readonly own: Decider<K>
  /** Lets a key exceed them, if anything does. */
  readonly spike: Spike | undefined
  private readonly singles = new Map<string, KeyedLimit>()
  /** By the numbers of their limits. */
  private readonly chosen = new Map<string, Decider<K>>()
  /** By the list or object in which the limits came. */
  private readonly seen = new WeakMap<object, Decider<K>>()
  private readonly numbers = new WeakMap<object, number>()
  private numbered = 0
  private readonly limitsOf = new Map<unknown, readonly KeyedLimit[]>()
  private readonly parts: readonly LimitPart[]
  private away = 0

  /** @param changed is told when the store goes away, and when it is back for all limits */
  constructor(
    private readonly settings: Settings,
    private readonly changed: (away: boolean) => void,
  ) {
    this.parts = settings.parts
    this.own = this.deciderOf(this.parts)
    this.spike =
      settings.reserve &&
      new Spike(
        this.single(settings.reserve),
        settings,
        (decider) => this.limitsOf.get(decider) as SingleLimit[],
      )
  }

  private deciderOf(parts: readonly LimitPart[]): Decider<K> {
    const limits = parts.map((part) => this.single(part))
    const [first] = limits
    const alone = limits.length === 1 && first?.part.scope === undefined
    const decider = alone ? (first as unknown as Decider<K>) : new SeveralLimits<K>(limits, this.settings)
    this.limitsOf.set(decider, limits)
    return decider
  }

  /** The limiter's own follow `setLimit`; a plan's do not, even if it is the limit that the limiter was made with. */
  private single(part: LimitPart): KeyedLimit {
    const isOwn = this.parts.includes(part)
    const name = isOwn ? part.table : `${part.table} ${this.numberOf(part.limit)}`
    let single = this.singles.get(name)
    if (single === undefined) {
      single = this.make(part, isOwn)
      this.singles.set(name, single)
    }
    return single
  }

  private make(part: LimitPart, follows: boolean): KeyedLimit {
    const { settings } = this
    const changed = (away: boolean) => this.count(away)
    const { shards = 1 } = settings.store
    if (shards === 1) return new SingleLimit(settings, part, follows, changed)
    const its = { ...settings, maxKeys: Math.ceil(settings.maxKeys / shards) }
    // A limiter's checks come between each other, whichever shard has their keys.
    const burst = new Burst(settings.clock)
    return new ShardedLimit(part, shards, (part) => new SingleLimit(its, part, follows, changed, burst))
  }

  /** The limits by which a decider decides on a key, as they are now. */
  limitsFor(decider: Decider<K>, key: K): readonly NamedLimit[] {
    const named: NamedLimit[] = []
    for (const { part, name, limit } of this.limitsOf.get(decider) ?? []) {
      const { scope, place } = part
      if (keyIn(key, scope) === undefined) continue
      named.push({ name: toldApart(name, place, named), scope, limit })
    }
    return named
  }

  private count(away: boolean): void {
    const before = this.away
    this.away += away ? 1 : -1
    if (before === 0 || this.away === 0) this.changed(away)
    if (!away) for (const single of this.singles.values()) single.probe()
  }

  /**
   * What decides a check that chooses this limit.
   *
   * @throws ConfigError `ERR_OPTION`, `ERR_MISMATCH`
   */
  of(limit: Limits | Partial<Scopes> | undefined): Decider<K> {
    if (limit === undefined) return this.own
    return this.seen.get(limit) ?? this.choose(limit)
  }

  private choose(limit: Limits | Partial<Scopes>): Decider<K> {
    const parts = this.fitting(limit)
    const name = parts.map((part) => (this.parts.includes(part) ? 'own' : this.numberOf(part.limit))).join()
    let decider = this.chosen.get(name)
    if (decider === undefined) {
      if (this.chosen.size >= MOST_PLANS) {
        throw new ConfigError(
          'ERR_OPTION',
          `checks have chosen ${MOST_PLANS} different limits: make each limit once, and give the same one again`,
        )
      }
      decider = this.deciderOf(parts)
      this.chosen.set(name, decider)
    }
    this.seen.set(limit, decider)
    return decider
  }

  private numberOf(limit: object): number {
    let number = this.numbers.get(limit)
    if (number === undefined) {
      number = ++this.numbered
      this.numbers.set(limit, number)
    }
    return number
  }

  /** The limiter's own parts, with the given limits in their place. */
  private fitting(limit: Limits | Partial<Scopes>): LimitPart[] {
    const given = limitParts(this.settings.name, limit as Limits | Scopes)
    const scopes = new Set(given.map(({ scope }) => scope))
    for (const part of given) {
      const ours = this.parts.find(({ table }) => table === part.table)
      if (ours !== undefined) checkSameKind(ours, part)
      else
        throw new ConfigError('ERR_MISMATCH', `there is no limit ${show(part.name)}: there are ${this.names}`)
    }
    return this.parts.map((part) => {
      if (!scopes.has(part.scope)) return part
      const theirs = given.find(({ table }) => table === part.table)
      checkSameKind(part, theirs)
      return theirs
    })
  }

  private get names(): string {
    return this.parts.map(({ name }) => name).join(', ')
  }

  /** Sets these numbers for all nodes. @throws ConfigError `ERR_MISMATCH`; StoreError */
  async set(limit: Limits | Partial<Scopes>): Promise<void> {
    const parts = this.fitting(limit)
    const changed = parts.filter((part) => !this.parts.includes(part))
    await Promise.all(changed.map((part) => this.ownOf(part).setLimit(part.limit)))
  }

  private ownOf({ table }: LimitPart): KeyedLimit {
    return this.single(this.parts.find((part) => part.table === table) as LimitPart)
  }

  private get all(): KeyedLimit[] {
    return [...this.singles.values()]
  }

  /**
   * Gives back cost that was taken by the limiter's own limits or by a plan. In RAM, each knows only what it took
   * itself: what they owe is settled, and then the store gives back.
   */
  async refund(key: K, cost: number, decider: Decider<K>): Promise<void> {
    if (this.settings.mode === 'hard' || this.chosen.size === 0) return decider.refund(key, cost)
    const counting = this.all.filter(({ part }) => part !== this.settings.reserve)
    const took = askedOf(counting, key)
    await all(took.limits.map((limit, place) => limit.settle(took.keys[place] as string)))
    const { limits, keys } = askedOf(this.limitsOf.get(decider) as readonly KeyedLimit[], key)
    await all(limits.map((limit, place) => limit.refundThere(keys[place] as string, cost)))
    for (const [place, { local }] of took.limits.entries()) local?.withdraw(took.keys[place] as string, cost)
  }

  /**
   * Forgets the key, in the reserve, too. To the store each plan is a node of its own, and what is booked for other
   * nodes than the one that resets stays booked: it is given back first.
   */
  async reset(key: K): Promise<void> {
    const plans = askedOf(
      this.all.filter(({ part }) => part !== this.settings.reserve && !this.parts.includes(part)),
      key,
    )
    await all(plans.limits.map((limit, place) => limit.giveUp(plans.keys[place] as string)))
    await this.own.reset(key)
    await this.spike?.reserve.reset(key as string)
  }

  flush(): Promise<void> {
    return all(this.all.map((single) => single.flush()))
  }

  /** The store is asked for nothing any more. */
  end(): void {
    for (const single of this.all) single.end()
  }

  async close(): Promise<void> {
    for (const decider of [this.own, ...this.chosen.values()])
      if (decider instanceof SeveralLimits) await decider.idle()
    if (this.spike !== undefined) await this.spike.idle()
    await Promise.all(this.all.map((single) => single.close()))
  }

  stats(): DeciderStats {
    return sumOf(this.all.map((single) => single.stats()))
  }
}
