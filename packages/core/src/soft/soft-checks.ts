import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Checks } from '../checks.ts'
import { blockedDecision, type Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { Settings } from '../options.ts'
import { OutageRule } from '../outage.ts'
import type { Snapshot } from '../store/store.ts'
import type { LocalKey } from './local-key.ts'
import { Sync } from './sync.ts'

/** This node's RAM decides, by the store's last state and what is pending; deltas are settled behind it. */
export class SoftChecks implements Checks {
  private readonly sync: Sync
  private readonly outage: OutageRule
  private share: Algorithm | undefined

  constructor(
    private readonly link: Link,
    private readonly settings: Settings,
  ) {
    this.sync = new Sync(link, settings)
    this.outage = new OutageRule(settings)
  }

  checkSync(key: string, cost: number): Decision {
    const local = this.sync.find(key)
    if (local === undefined) return this.admitNew(key, cost)
    return this.decide(local, cost, true)
  }

  async check(key: string, cost: number): Promise<Decision> {
    const local = await this.warm(key)
    if (local === undefined) return this.outageDecision(key, cost)
    return this.decide(local, cost, true)
  }

  async peek(key: string): Promise<Decision> {
    const local = await this.warm(key)
    if (local === undefined) return this.outageDecision(key, 1)
    return this.decide(local, 1, false)
  }

  /** With the store away, whether a key that is not in RAM is answered by the outage rule. */
  private get refusesNew(): boolean {
    return this.link.away && (this.sync.full || this.settings.onOutage !== 'local')
  }

  private admitNew(key: string, cost: number): Decision {
    if (this.refusesNew) return this.outageDecision(key, cost)
    return this.decide(this.sync.add(key), cost, true)
  }

  /** The key as held in RAM, read from the store first where it is cold; none where no more can be held. */
  private async warm(key: string): Promise<LocalKey | undefined> {
    const { link, sync } = this
    let local = sync.find(key)
    if (local === undefined) {
      if (this.refusesNew) return undefined
      local = sync.add(key)
    }
    if (local.known || link.away) return local
    const cold = local
    const error = await new Promise<unknown>((resolve) => {
      cold.waiting ??= []
      cold.waiting.push(resolve)
      sync.ask(cold)
    })
    if (error !== undefined && !(error instanceof StoreError)) throw error
    if (error !== undefined && this.settings.onOutage !== 'local') return undefined
    return sync.hold(cold)
  }

  private decide(local: LocalKey, cost: number, consume: boolean): Decision {
    const { limit, onOutage } = this.settings
    if (this.link.away && onOutage !== 'local') return this.outageDecision(local.key, cost)
    const now = this.link.table.now()
    const blockedFor = local.blockedUntil - now
    const rule = this.link.away ? this.stale() : limit
    const decision = rule.take(local.state, now, cost, 'local', consume && blockedFor <= 0)
    if (blockedFor > 0) return blockedDecision(decision, blockedFor)
    if (decision.allowed && consume) {
      this.sync.expired += local.admitted(now, cost)
      this.sync.queue(local)
    }
    return decision
  }

  /** With the store away for longer than a window, a node goes on with its fair share of the limit. */
  private stale(): Algorithm {
    const { limit, clock } = this.settings
    if (clock.monotonic() - this.sync.heardAt <= limit.window) {
      this.share = undefined
      return limit
    }
    this.share ??= limit.share(this.sync.nodes)
    return this.share
  }

  /** With the store away and no room for another key that owes, a new one is denied, or passes uncounted. */
  private outageDecision(key: string, cost: number): Decision {
    const error = new StoreError('ERR_STORE_AWAY', 'the store is away, and will be asked again soon')
    if (this.settings.onOutage !== 'local') {
      return this.outage.decide(key, cost, this.link.table.now(), this.link.retryAfterMs, error, false)
    }
    return OutageRule.denied(this.settings.limit, cost, this.link.retryAfterMs)
  }

  async refund(key: string, cost: number): Promise<void> {
    const local = await this.warm(key)
    if (local === undefined) throw nothingGivenBack()
    const had = local.current.refunded
    this.sync.expired += local.refund(this.link.table.now(), cost)
    // What this node admitted itself it can give back without having heard of the others.
    if (!local.known && local.current.refunded === had) throw nothingGivenBack()
    this.sync.queue(local)
    await this.sync.settle([local])
  }

  learn(snapshot: Snapshot): void {
    this.sync.takeSnapshot(snapshot)
  }

  flush(): Promise<void> {
    return this.sync.flush()
  }

  close(): Promise<void> {
    return this.sync.close()
  }

  stats(): ReturnType<Checks['stats']> {
    const { sync } = this
    const { pending } = sync
    return {
      pending,
      keys: sync.size,
      syncLagMs: Math.round(this.settings.clock.monotonic() - sync.heardAt),
      expired: sync.expired,
      uncertain: 0,
      evictedInWindow: sync.evicted,
      estimatedOvershoot: pending * (sync.nodes - 1),
    }
  }
}

function nothingGivenBack(): StoreError {
  return new StoreError('ERR_STORE_AWAY', 'the store did not answer: nothing was given back')
}
