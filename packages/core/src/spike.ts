import { combined } from './combined-decision.ts'
import type { Decider, Taken } from './decider.ts'
import { Decision, decisionOf, detailed } from './decision.ts'
import { receiptsOf, takeEverywhere } from './hard/take-everywhere.ts'
import { Takers } from './hard/takers.ts'
import type { KeyedLimit } from './keyed-limit.ts'
import type { JointChecks } from './local/joint-checks.ts'
import type { Settings } from './options.ts'
import { isUsedUp, payerOf } from './payer.ts'
import type { SingleLimit } from './single-limit.ts'
import { UnderWay } from './under-way.ts'

/** Lets what a limit refuses pass out of the reserve. */
export class Spike {
  private readonly takers: Takers
  private readonly underWay = new UnderWay()

  /** @param limitsOf the limits by which a decider decides */
  constructor(
    readonly reserve: KeyedLimit,
    private readonly settings: Settings,
    private readonly limitsOf: (decider: Decider<string>) => readonly KeyedLimit[],
  ) {
    this.takers = new Takers(settings)
  }

  check(limits: Decider<string>, key: string, cost: number): Decision | Promise<Decision> {
    const { joint } = this.reserve.of(key)
    return joint === undefined
      ? this.takeHard(limits, key, cost).then(({ decision }) => decision)
      : this.checkHere(limits, joint, key, cost)
  }

  /** As `check`, with the receipts of what paid for it. */
  async take(limits: Decider<string>, key: string, cost: number): Promise<Taken> {
    if (this.settings.mode === 'hard') return this.takeHard(limits, key, cost)
    const its = this.limitsOf(limits).map((limit) => limit.of(key).receipt(key, cost))
    const reserve = this.reserve.of(key).receipt(key, cost)
    const decision = await this.check(limits, key, cost)
    // The decision does not say what is in use of the reserve: as if nothing were.
    if (decision.spike) return { decision, receipts: [reserve({ limit: 0, remaining: 0, resetAfterMs: 0 })] }
    return { decision, receipts: its.map((of, place) => of(decision.parts?.[place] ?? decision)) }
  }

  /**
   * Takes of a hard limiter's limits or of the reserve: at one moment or, if they can't be asked together, giving one
   * of them back.
   */
  private async takeHard(limits: Decider<string>, key: string, cost: number): Promise<Taken> {
    const its = this.limitsOf(limits).map((limit) => limit.of(key))
    const reserve = this.reserve.of(key)
    const all = [...its, reserve]
    const keys = all.map(() => key)
    const taken = await (this.takers.jointly(all, true)?.take(keys, cost) ??
      this.underWay.add(takeEverywhere(this.takers.of(its, reserve), all, keys, cost, true)))
    const decision = orReserve(its, taken.decisions, cost)
    const receipts = receiptsOf(taken, all, keys, cost)
    return { decision, receipts: decision.spike ? receipts.slice(its.length) : receipts.slice(0, its.length) }
  }

  private checkHere(
    limits: Decider<string>,
    reserve: JointChecks,
    key: string,
    cost: number,
  ): Decision | Promise<Decision> {
    const [first, second] = this.limitsOf(limits)
    const alone = second === undefined ? first?.of(key).joint : undefined
    const decision = alone?.checkOnce(key, cost) ?? limits.check(key, cost)
    if (!(decision instanceof Decision))
      return this.underWay.add(this.andReserve(decision, reserve, key, cost))
    if (!isFull(decision)) return decision
    const answer = reserve.checkOnce(key, cost)
    if (answer instanceof Decision) return spiked(decision, answer)
    return this.underWay.add(answer.then((its) => spiked(decision, its)))
  }

  /** Asks the reserve while the limits are asked: what it has for the check is held until they have answered. */
  private async andReserve(
    answer: Promise<Decision>,
    reserve: JointChecks,
    key: string,
    cost: number,
  ): Promise<Decision> {
    const once = reserve.once(key, cost)
    const forgo = () => once.forgo()
    // The answer does not wait for this; whoever closes does.
    void this.underWay.add(answer.then((its) => (isFull(its) ? undefined : forgo()), forgo))
    const decision = await answer
    if (!isFull(decision)) return decision
    reserve.offer(key, cost)
    return spiked(decision, await once.conclude())
  }

  /**
   * Resolves once the checks that wait for the store have their answers, and hold nothing: what they take is still to
   * be settled.
   */
  async idle(): Promise<void> {
    await this.takers.idle()
    await this.underWay.idle()
  }

  checkSync(limits: Decider<string>, key: string, cost: number): Decision {
    const decision = limits.checkSync(key, cost)
    return isFull(decision) ? spiked(decision, this.reserve.checkSync(key, cost)) : decision
  }

  async peek(limits: Decider<string>, key: string): Promise<Decision> {
    const its = this.limitsOf(limits).map((limit) => limit.of(key))
    const all = [...its, this.reserve.of(key)]
    const looked = this.settings.mode === 'hard' && this.takers.peekJointly(all, Array(all.length).fill(key))
    if (looked) return orReserve(its, await looked, 1)
    // In one round trip; in the other modes RAM knows whether the reserve is to be asked.
    const reserve = this.settings.mode === 'hard' ? this.reserve.peek(key) : undefined
    // It may fail without being wanted.
    reserve?.catch(() => {})
    const decision = await limits.peek(key)
    return isFull(decision) ? spiked(decision, await (reserve ?? this.reserve.peek(key))) : decision
  }
}

/** @param decisions of the limits, and last of the reserve; without the last if it would not pay */
function orReserve(limits: readonly SingleLimit[], decisions: readonly Decision[], cost: number): Decision {
  const its = decisions.slice(0, limits.length)
  const reserve = decisions[limits.length]
  const decision = its.length === 1 ? (its[0] as Decision) : combined(limits, its, cost)
  const payer = payerOf(its, reserve)
  if (payer === 'limits' || reserve === undefined) return decision
  return payer === 'reserve' || (isFull(decision) && !reserve.allowed) ? spiked(decision, reserve) : decision
}

function isFull(decision: Decision): boolean {
  return !decision.allowed && isUsedUp(decision.parts ?? [decision])
}

/** What a refusal becomes: none if the reserve has enough; otherwise the wait is for whichever has some first. */
function spiked(refusal: Decision, reserve: Decision): Decision {
  const { limit, resetAfterMs, name, parts } = refusal
  // Includes what is owed to the reserve: a reservation that it paid may have cost more.
  const debt = (refusal.debt ?? 0) + (reserve.debt ?? 0)
  const more = { ...(parts && { parts }), ...(debt > 0 && { debt }) }
  if (reserve.allowed) {
    const decision = decisionOf(true, limit, 0, 0, resetAfterMs, 0, reserve.source, undefined, name)
    return detailed(decision, { ...more, spike: true })
  }
  if (reserve.reason !== 'sync' && reserve.reason !== 'limit') return detailed(refusal, more)
  const retry = Math.min(refusal.retryAfterMs, reserve.retryAfterMs)
  const decision = decisionOf(
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
