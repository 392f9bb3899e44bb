import { combined } from './combined-decision.ts'
import type { Decider } from './decider.ts'
import { Decision, detailed } from './decision.ts'
import { Takers } from './hard/takers.ts'
import type { KeyedLimit } from './keyed-limit.ts'
import type { LocalChecks } from './local/local-checks.ts'
import type { Settings } from './options.ts'
import { isUsedUp, payerOf } from './payer.ts'
import type { SingleLimit } from './single-limit.ts'
import { UnderWay } from './under-way.ts'

/** What a limit refuses may pass out of the reserve. */
export class Spike {
  private readonly takers: Takers
  private readonly underWay = new UnderWay()

  /** @param limitsOf what a decider decides by */
  constructor(
    readonly reserve: KeyedLimit,
    private readonly settings: Settings,
    private readonly limitsOf: (decider: Decider<string>) => readonly KeyedLimit[],
  ) {
    this.takers = new Takers(settings)
  }

  /** A hard limiter's limits and the reserve at once. */
  private takeJointly(limits: Decider<string>, key: string, cost: number): Promise<Decision> | undefined {
    if (this.settings.mode !== 'hard') return undefined
    const all = [...this.limitsOf(limits), this.reserve].map((limit) => limit.of(key))
    const takes = this.takers.jointly(all, true)
    const keys = all.map(() => key)
    return takes?.take(keys, cost).then(({ decisions }) => orReserve(all, decisions, cost))
  }

  check(limits: Decider<string>, key: string, cost: number): Decision | Promise<Decision> {
    const taken = this.takeJointly(limits, key, cost)
    if (taken !== undefined) return taken
    const { local } = this.reserve.of(key)
    return local === undefined
      ? this.thenReserve(limits, key, cost)
      : this.checkHere(limits, local, key, cost)
  }

  /** A hard limiter's limits and reserve that can't be asked together. */
  private async thenReserve(limits: Decider<string>, key: string, cost: number): Promise<Decision> {
    const decision = await limits.check(key, cost)
    return isFull(decision) ? spiked(decision, await this.reserve.check(key, cost)) : decision
  }

  private checkHere(
    limits: Decider<string>,
    reserve: LocalChecks,
    key: string,
    cost: number,
  ): Decision | Promise<Decision> {
    const [first, second] = this.limitsOf(limits)
    const alone = second === undefined ? first?.of(key).local : undefined
    const decision = alone?.checkOnce(key, cost) ?? limits.check(key, cost)
    if (!(decision instanceof Decision))
      return this.underWay.add(this.andReserve(decision, reserve, key, cost))
    if (!isFull(decision)) return decision
    const answer = reserve.checkOnce(key, cost)
    if (answer instanceof Decision) return spiked(decision, answer)
    return this.underWay.add(answer.then((its) => spiked(decision, its)))
  }

  /** While the limits are asked, so is the reserve: what it has for the check is held until they have answered. */
  private async andReserve(
    answer: Promise<Decision>,
    reserve: LocalChecks,
    key: string,
    cost: number,
  ): Promise<Decision> {
    const once = reserve.once(key, cost)
    const forgo = () => once.forgo()
    // Behind the answer, which does not wait for it; whoever closes does.
    void this.underWay.add(answer.then((its) => (isFull(its) ? undefined : forgo()), forgo))
    const decision = await answer
    if (!isFull(decision)) return decision
    reserve.offer(key, cost)
    return spiked(decision, await once.conclude())
  }

  /** Resolves when the checks that wait for the store have their answers, and hold nothing: what they take is still to be settled. */
  idle(): Promise<void> {
    return this.underWay.idle()
  }

  checkSync(limits: Decider<string>, key: string, cost: number): Decision {
    const decision = limits.checkSync(key, cost)
    return isFull(decision) ? spiked(decision, this.reserve.checkSync(key, cost)) : decision
  }

  async peek(limits: Decider<string>, key: string): Promise<Decision> {
    const decision = await limits.peek(key)
    return isFull(decision) ? spiked(decision, await this.reserve.peek(key)) : decision
  }
}

/** @param all the limits, and last the reserve */
function orReserve(all: readonly SingleLimit[], decisions: readonly Decision[], cost: number): Decision {
  const its = decisions.slice(0, -1)
  const reserve = decisions.at(-1) as Decision
  const decision = its.length === 1 ? (its[0] as Decision) : combined(all.slice(0, -1), its, cost)
  const payer = payerOf(its, reserve)
  if (payer === 'limits') return decision
  return payer === 'reserve' || (isFull(decision) && !reserve.allowed) ? spiked(decision, reserve) : decision
}

function isFull(decision: Decision): boolean {
  return !decision.allowed && isUsedUp(decision.parts ?? [decision])
}

/** What becomes of a refusal: with enough in the reserve it is none; without, whichever has some first is waited for. */
function spiked(refusal: Decision, reserve: Decision): Decision {
  const { limit, resetAfterMs, name, parts, debt } = refusal
  const more = { ...(parts && { parts }), ...(debt && { debt }) }
  if (reserve.allowed) {
    const decision = new Decision(true, limit, 0, 0, resetAfterMs, 0, reserve.source, undefined, name)
    return detailed(decision, { ...more, spike: true })
  }
  if (reserve.reason !== 'sync' && reserve.reason !== 'limit') return refusal
  const retry = Math.min(refusal.retryAfterMs, reserve.retryAfterMs)
  const decision = new Decision(
    false,
    limit,
    refusal.remaining,
    retry,
    resetAfterMs,
    0,
    refusal.source,
    reserve.reason,
    name,
  )
  return detailed(decision, more)
}
