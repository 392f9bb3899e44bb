import type { Algorithm } from './algorithms/algorithm.ts'
import type { Decider, DeciderStats, Earlier, Receipt, Standing, Taken } from './decider.ts'
import type { Decision } from './decision.ts'
import { StoreError } from './errors.ts'
import { HardChecks } from './hard/hard-checks.ts'
import { receiptOf } from './hard/take-queue.ts'
import { checkKey } from './key.ts'
import { type LimitPart, nameOf } from './limit-parts.ts'
import { Link } from './link.ts'
import type { Burst } from './local/burst.ts'
import type { JointChecks } from './local/joint-checks.ts'
import { LocalChecks } from './local/local-checks.ts'
import { extraOf, intervalOf, type LimitSettings, type Settings } from './options.ts'
import type { Operation, Snapshot } from './store/store.ts'

/** One limit over one kind of key: its counts in the store, and how its mode decides. */
export class SingleLimit implements Decider<string> {
  readonly checkKey: (key: unknown) => asserts key is string = checkKey
  readonly link: Link
  readonly hard: HardChecks | undefined
  readonly local: LocalChecks | undefined
  /** Its part in checks on several limits. Soft and leased. */
  readonly joint: JointChecks | undefined
  private readonly checks: HardChecks | LocalChecks
  private readonly settings: LimitSettings
  /** Its name, by the numbers in force. */
  name: string

  /**
   * @param follows whether it goes by a limit that is set while limiters run
   * @param changed is told when the store goes away, and when it is back
   * @param burst of the checks, if they are of other shards, too
   */
  constructor(
    settings: Settings,
    readonly part: LimitPart,
    follows: boolean,
    changed: (away: boolean) => void,
    burst?: Burst,
  ) {
    const { store, clock, random, mode } = settings
    const { limit, table, group, shard } = part
    this.settings = {
      ...settings,
      limit,
      interval: intervalOf(settings, limit),
      extra: extraOf(settings, limit),
    }
    this.name = part.name
    this.link = new Link(
      store.open(table, limit, group, shard),
      clock,
      random,
      (away) => {
        if (away) this.local?.storeAway()
        changed(away)
      },
      settings.timeout,
      limit,
      follows ? (set) => this.goBy(set) : undefined,
    )
    if (mode === 'hard') this.hard = new HardChecks(this.link, this.settings)
    else this.local = new LocalChecks(this.link, this.settings, burst)
    this.joint = this.local?.joint
    this.checks = (this.hard ?? this.local) as HardChecks | LocalChecks
  }

  of(): SingleLimit {
    return this
  }

  /** The limit in force. */
  get limit(): Algorithm {
    return this.settings.limit
  }

  check(key: string, cost: number): Decision | Promise<Decision> {
    return this.checks.check(key, cost)
  }

  async take(key: string, cost: number): Promise<Taken> {
    if (this.hard === undefined) {
      const receipt = this.receipt(key, cost)
      const decision = await this.checks.check(key, cost)
      return { decision, receipts: [receipt(decision)] }
    }
    const { decision, heard } = await this.hard.take(key, cost)
    return { decision, receipts: [heard && receiptOf(heard, key, decision, cost, this.limit)] }
  }

  /** See `LocalChecks`. */
  receipt(key: string, cost: number): (standing: Standing) => Receipt | undefined {
    return (this.local as LocalChecks).receipt(key, cost)
  }

  checkSync(key: string, cost: number): Decision {
    return (this.local as LocalChecks).checkSync(key, cost)
  }

  peek(key: string): Promise<Decision> {
    return this.checks.peek(key)
  }

  async refund(key: string, cost: number, earlier?: Earlier): Promise<void> {
    if (earlier === undefined) return this.checks.refund(key, cost)
    const [receipt] = earlier.receipts
    const ago = this.settings.clock.monotonic() - earlier.at
    // Time has freed all of it.
    if (ago >= earlier.resetAfterMs) return
    const at = Math.floor(this.link.table.now() - ago)
    await this.checks.refund(key, cost, { at, stays: earlier.cost - cost, receipt })
  }

  /** Settles what this node owes of the key. */
  async settle(key: string): Promise<void> {
    await this.local?.settle(key)
  }

  /** Gives back what is booked for this node of the key. @throws StoreError where the store does not acknowledge it */
  async giveUp(key: string): Promise<void> {
    await this.local?.giveUp(key)
  }

  /** As `refund`, no matter who took the cost: by the store's count alone. */
  refundThere(key: string, cost: number): Promise<void> {
    return this.verb(['refund', key, cost])
  }

  charge(key: string, cost: number): Promise<void> {
    return this.verb(['charge', key, cost])
  }

  block(key: string, ms: number): Promise<void> {
    return this.verb(['block', key, ms])
  }

  async reset(key: string): Promise<void> {
    const { operation, undo } = this.checks.reset(key)
    try {
      await this.verb(operation)
    } catch (error) {
      // If the key may have been reset, what was booked before must not be spent.
      if (!(error instanceof StoreError && error.uncertain)) undo()
      throw error
    }
    this.local?.withdraw(key, Infinity)
  }

  private async verb(operation: Operation): Promise<void> {
    this.checks.learn((await this.link.carryOut(operation)) as Snapshot)
  }

  private get deadline(): number {
    return this.settings.clock.monotonic() + this.settings.timeout
  }

  /** Sets the limit for all nodes that follow. @throws StoreError where the store does not acknowledge it */
  async setLimit({ parameters }: Algorithm): Promise<void> {
    await this.link.exchange([], this.deadline, { once: true, limit: [0, ...parameters] })
  }

  private goBy(parameters: readonly number[]): void {
    const { settings, part } = this
    const before = settings.limit
    settings.limit = before.with(parameters)
    this.name = nameOf(settings.name, part.scope, part.isOnly, settings.limit)
    settings.extra = extraOf(settings, settings.limit)
    this.local?.limitChanged(before)
  }

  probe(): void {
    this.link.probe()
  }

  end(): void {
    this.link.end()
  }

  flush(): Promise<void> {
    return this.checks.flush()
  }

  async close(): Promise<void> {
    await this.checks.close()
    this.link.close()
  }

  stats(): DeciderStats {
    const { link } = this
    return {
      storeCalls: link.calls,
      storeEntries: link.entries,
      degraded: link.away,
      ...this.checks.stats(),
    }
  }
}
