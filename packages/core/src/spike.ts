import { combined } from './combined-decision.ts'
import type { Decider } from './decider.ts'
import { Decision, detailed } from './decision.ts'
import { jointTaker, type Taker } from './hard/takers.ts'
import type { Settings } from './options.ts'
import { payerOf } from './payer.ts'
import type { SingleLimit } from './single-limit.ts'

/** What a limit refuses may pass out of the reserve. */
export class Spike {
  /** Who asks the store for a hard limiter's limits and the reserve at once. */
  private readonly takers = new Map<Decider<string>, Taker | undefined>()

  /** @param limitsOf what a decider decides by */
  constructor(
    readonly reserve: SingleLimit,
    private readonly settings: Settings,
    private readonly limitsOf: (decider: Decider<string>) => readonly SingleLimit[],
  ) {}

  private taker(limits: Decider<string>): Taker | undefined {
    if (this.settings.mode !== 'hard') return undefined
    if (!this.takers.has(limits)) {
      const all = [...this.limitsOf(limits), this.reserve]
      this.takers.set(limits, jointTaker(all, [...all.keys()], this.settings, true))
    }
    return this.takers.get(limits)
  }

  private async takeJointly(
    taker: Taker,
    limits: Decider<string>,
    key: string,
    cost: number,
  ): Promise<Decision> {
    const { decisions } = await taker.take(
      taker.places.map(() => key),
      cost,
    )
    const its = decisions.slice(0, -1)
    const reserve = decisions.at(-1) as Decision
    const decision = its.length === 1 ? (its[0] as Decision) : combined(this.limitsOf(limits), its, cost)
    const payer = payerOf(its, reserve)
    if (payer === 'limits') return decision
    return payer === 'reserve' || (isFull(decision) && !reserve.allowed)
      ? spiked(decision, reserve)
      : decision
  }

  check(limits: Decider<string>, key: string, cost: number): Decision | Promise<Decision> {
    const taker = this.taker(limits)
    if (taker !== undefined) return this.takeJointly(taker, limits, key, cost)
    const decision = limits.check(key, cost)
    if (!(decision instanceof Decision)) return this.orReserve(decision, key, cost)
    if (!isFull(decision)) return decision
    const answer = this.reserve.check(key, cost)
    return answer instanceof Decision ? spiked(decision, answer) : answer.then((its) => spiked(decision, its))
  }

  private async orReserve(answer: Promise<Decision>, key: string, cost: number): Promise<Decision> {
    const decision = await answer
    return isFull(decision) ? spiked(decision, await this.reserve.check(key, cost)) : decision
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

function isFull({ allowed, reason }: Decision): boolean {
  return !allowed && reason === 'limit'
}

/** What becomes of a refusal: with enough in the reserve it is none; without, whichever has some first is waited for. */
function spiked(refusal: Decision, reserve: Decision): Decision {
  const { limit, resetAfterMs, name, parts } = refusal
  const more = parts === undefined ? {} : { parts }
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
