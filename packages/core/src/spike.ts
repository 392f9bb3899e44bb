import type { Decider } from './decider.ts'
import { Decision, detailed } from './decision.ts'

/** What a limit refuses may pass out of the reserve. */
export class Spike {
  constructor(readonly reserve: Decider<string>) {}

  check(limits: Decider<string>, key: string, cost: number): Decision | Promise<Decision> {
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
