import type { Limit } from '../../src/algorithms/algorithm.ts'
import { type Limits, limitParts, type ScopeKeys, type Scopes } from '../../src/limit-parts.ts'
import type { LimiterOptions, ScopedOptions } from '../../src/options.ts'
import { Count } from './count.ts'
import type { Fleet } from './fleet.ts'
import { type History, limitOf, type Numbers } from './history.ts'

/** What a check may name, and where that counts. */
export interface Asked {
  readonly keys: string | ScopeKeys
  /** The limit that it goes by; none: the limiter's own. */
  readonly plan: Limits | Partial<Scopes> | undefined
  readonly counts: readonly Count[]
  readonly reserve: Count | undefined
}

type Options = Pick<LimiterOptions, 'limit' | 'spike'> | Pick<ScopedOptions<string>, 'scopes'>

/** The limits of a history, and the keys that its checks name. */
export class Limited {
  readonly options: Options
  readonly asked: readonly Asked[]
  readonly counts: readonly Count[]

  constructor(
    fleet: Fleet,
    private readonly history: History,
  ) {
    const found = new Map<string, Count>()
    const count = (table: string, key: string, numbers: Numbers, made?: Limit): Count => {
      const id = `${table} ${key}`
      const its = found.get(id) ?? new Count(fleet, table, key, numbers, made)
      found.set(id, its)
      return its
    }
    const { several } = history
    const first = limitOf(history)
    const others = several?.others.map(limitOf) ?? []
    const all = [history, ...(several?.others ?? [])]
    const limits = this.shaped([first, ...others])
    const own = limitParts('api', limits)
    const of = (keys: readonly (string | undefined)[], plan?: Limit) =>
      own.flatMap(({ table, limit }, place) => {
        const key = keys[place]
        return key === undefined
          ? []
          : [count(table, key, all[place] as Numbers, plan && place === 0 ? plan : limit)]
      })
    if (several === undefined) {
      this.options = { limit: first }
      this.asked = [{ keys: 'key', plan: undefined, counts: of(['key']), reserve: undefined }]
    } else {
      const plan = limitOf({ ...history, limit: several.plan })
      const planned = several.scoped ? { user: plan } : this.shaped([plan, ...others])
      if (several.scoped) {
        this.options = { scopes: limits as Scopes }
        const asks = (plan: Limit | undefined, user?: string, ip?: string, global?: string): Asked => {
          const keys = { ...(user && { user }), ...(ip && { ip }), ...(global && { global }) }
          return { keys, plan: plan && planned, counts: of([user, ip, global], plan), reserve: undefined }
        }
        this.asked = [
          asks(undefined, 'a', 'x', '*'),
          asks(plan, 'b', 'x', '*'),
          asks(undefined, 'a', 'y'),
          asks(undefined, undefined, 'x', '*'),
          ...(several.crowd ? [asks(undefined, 'c', 'z', '*')] : []),
        ]
      } else {
        const { spike } = several
        const { window } = history
        this.options = { limit: limits as Limits, ...(spike > 0 && { spike: { extra: spike, per: window } }) }
        const numbers = { algorithm: 'token-bucket', limit: spike, window } as const
        const asks = (key: string, plan?: Limit): Asked => ({
          keys: key,
          plan: plan && planned,
          counts: of(
            all.map(() => key),
            plan,
          ),
          reserve: spike > 0 ? count('api~spike', key, numbers) : undefined,
        })
        this.asked = [
          asks('key'),
          asks('other', plan),
          ...(several.crowd ? [asks('third'), asks('fourth', plan)] : []),
        ]
      }
    }
    this.counts = [...found.values()]
  }

  /** Limits as a limiter is given them. */
  private shaped(limits: readonly Limit[]): Limits | Scopes {
    const [user, ip, global] = limits as [Limit, Limit, Limit]
    if (this.history.several?.scoped) return { user, ip, global }
    return limits.length === 1 ? user : limits
  }

  /** Sets another number for the first limit, for all checks without a plan. */
  set(limit: number, act: (limits: Limits | Partial<Scopes>) => Promise<boolean>): void {
    const first = limitOf({ ...this.history, limit })
    const done = act(this.withFirst(first))
    for (const {
      plan,
      counts: [its],
    } of this.asked)
      if (plan === undefined && its?.table === this.counts[0]?.table) its?.set(first, done)
  }

  private withFirst(first: Limit): Limits | Partial<Scopes> {
    const { options } = this
    if ('scopes' in options) return { user: first }
    const own = Array.isArray(options.limit) ? options.limit.slice(1) : []
    return this.shaped([first, ...own])
  }
}
