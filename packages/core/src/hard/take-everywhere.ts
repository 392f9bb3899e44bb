import type { Receipt } from '../decider.ts'
import type { Decision } from '../decision.ts'
import { isUsedUp, payerOf } from '../payer.ts'
import type { SingleLimit } from '../single-limit.ts'
import type { JointlyTaken } from './joint-takes.ts'
import { type Heard, receiptOf } from './take-queue.ts'
import type { Taker } from './takers.ts'

/**
 * Takes from limits that can't all be asked at one moment: if some refuse, what others took goes back behind the
 * answer. With `reserve`, the last limit pays if the others are used up.
 */
export async function takeEverywhere(
  takers: readonly Taker[],
  limits: readonly SingleLimit[],
  keys: readonly string[],
  cost: number,
  reserve: boolean,
): Promise<JointlyTaken> {
  const answers = await Promise.allSettled(
    takers.map(({ places, take }) =>
      take(
        places.map((place) => keys[place] as string),
        cost,
      ),
    ),
  )
  const decisions: (Decision | undefined)[] = limits.map(() => undefined)
  const heard: (Heard | undefined)[] = limits.map(() => undefined)
  for (const [turn, { places }] of takers.entries()) {
    const answer = answers[turn] as PromiseSettledResult<JointlyTaken>
    if (answer.status === 'rejected') continue
    for (const [at, place] of places.entries()) {
      decisions[place] = answer.value.decisions[at]
      heard[place] = answer.value.heard[at]
    }
  }
  const last = reserve ? limits.length - 1 : limits.length
  const its = decisions.slice(0, last).filter((decision) => decision !== undefined)
  const payer = its.length === last ? payerOf(its, decisions[last]) : undefined
  for (const { places } of takers) {
    // A taker takes from all of its limits, or from none.
    const took = places.every((place) => decisions[place]?.allowed)
    if (!took || payer === (places.includes(last) ? 'reserve' : 'limits')) continue
    for (const place of places) {
      const decision = decisions[place] as Decision
      limits[place]?.hard?.giveBack(keys[place] as string, cost, { decision, heard: heard[place] })
    }
  }
  for (const [turn, { places }] of takers.entries()) {
    const answer = answers[turn] as PromiseSettledResult<JointlyTaken>
    // A failed reserve matters only if it would have had to pay.
    const matters = !places.includes(last) || isUsedUp(its)
    if (answer.status === 'rejected' && matters) throw answer.reason
  }
  return { decisions: decisions.filter((decision) => decision !== undefined), heard }
}

/** What each limit would say to a cost of 1. */
export async function peekEverywhere(takers: readonly Taker[], keys: readonly string[]): Promise<Decision[]> {
  const decisions: Decision[] = []
  const looking = takers.map(async ({ places, peek }) => {
    const its = await peek(places.map((place) => keys[place] as string))
    for (const [at, place] of places.entries()) decisions[place] = its[at] as Decision
  })
  await Promise.all(looking)
  return decisions
}

/** For each limit, the receipt by which its part can be given back. */
export function receiptsOf(
  { decisions, heard }: JointlyTaken,
  limits: readonly SingleLimit[],
  keys: readonly string[],
  cost: number,
): (Receipt | undefined)[] {
  return limits.map(({ limit }, place) => {
    const its = heard[place]
    return its && receiptOf(its, keys[place] as string, decisions[place] as Decision, cost, limit)
  })
}
