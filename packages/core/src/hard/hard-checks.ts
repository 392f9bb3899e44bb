import type { Checks } from '../checks.ts'
import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { Settings } from '../options.ts'
import { OutageRule } from '../outage.ts'
import { TakeQueue } from './take-queue.ts'

/** The store decides every check, atomically. */
export class HardChecks implements Checks {
  private readonly queue: TakeQueue
  private readonly outage: OutageRule
  private uncertain = 0

  constructor(
    private readonly link: Link,
    private readonly settings: Settings,
  ) {
    this.queue = new TakeQueue(link, settings.clock, settings.timeout, (error, key, cost) => {
      if (error instanceof StoreError && error.uncertain) this.uncertain++
      return this.unanswered(error, key, cost, true)
    })
    this.outage = new OutageRule(settings)
  }

  check(key: string, cost: number): Promise<Decision> {
    return this.queue.take(key, cost)
  }

  private unanswered(error: unknown, key: string, cost: number, consume: boolean): Decision {
    if (!(error instanceof StoreError)) throw error
    return this.outage.decide(key, cost, this.link.table.now(), this.link.retryAfterMs, error, consume)
  }

  async peek(key: string): Promise<Decision> {
    const deadline = this.settings.clock.monotonic() + this.settings.timeout
    try {
      const { results } = await this.link.exchange([['peek', key]], deadline)
      return (results[0] as readonly Decision[])[0] as Decision
    } catch (error) {
      return this.unanswered(error, key, 1, false)
    }
  }

  async refund(key: string, cost: number): Promise<void> {
    const deadline = this.settings.clock.monotonic() + this.settings.timeout
    await this.link.exchange([['refund', key, cost]], deadline, { once: true })
  }

  suspend(): () => void {
    return () => {}
  }

  learn(): void {}

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  stats(): ReturnType<Checks['stats']> {
    return {
      pending: 0,
      keys: 0,
      syncLagMs: 0,
      expired: 0,
      uncertain: this.uncertain,
      evictedInWindow: 0,
      estimatedOvershoot: 0,
    }
  }
}
