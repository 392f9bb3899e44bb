import { LRUCache } from 'lru-cache'
import type { Limit } from './algorithms/algorithm.ts'
import { type Decision, decisionOf } from './decision.ts'
import type { StoreError } from './errors.ts'
import type { LimitSettings } from './options.ts'

/** Answers checks that the store did not, as `onOutage` says. */
export class OutageRule {
  /** What was admitted here during outages, if the rule is `'local'`: each node goes by the whole limit. */
  private states: LRUCache<string, object> | undefined

  constructor(private readonly settings: LimitSettings) {}

  static denied(limit: Limit, cost: number, retryAfterMs: number): Decision {
    if (cost > limit.limit) return decisionOf(false, limit.limit, 0, Infinity, 0, 0, 'outage', 'cost')
    return decisionOf(false, limit.limit, 0, retryAfterMs, 0, 0, 'outage', 'outage')
  }

  /** @throws the error, if the rule is `'throw'` */
  decide(
    key: string,
    cost: number,
    now: number,
    retryAfterMs: number,
    error: StoreError,
    consume: boolean,
  ): Decision {
    const { limit, onOutage } = this.settings
    if (onOutage === 'throw') throw error
    if (onOutage === 'deny' || cost > limit.limit) return OutageRule.denied(limit, cost, retryAfterMs)
    if (onOutage === 'allow') return decisionOf(true, limit.limit, limit.limit, 0, 0, 0, 'outage')
    // Made at the first outage: it takes all its room at once.
    this.states ??= new LRUCache({ max: this.settings.maxKeys })
    let state = this.states.get(key)
    if (state === undefined) {
      state = limit.create() as object
      this.states.set(key, state)
    }
    return limit.take(state, now, cost, 'outage', consume)
  }

  /** Takes back what was decided here just now. */
  undo(key: string, cost: number, now: number): void {
    const state = this.states?.get(key)
    if (state !== undefined) this.settings.limit.refund(state, now, 0, cost)
  }
}
