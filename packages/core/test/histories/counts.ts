import { isBucket } from '../../src/algorithms/algorithm.ts'
import { Broken } from './bounds.ts'
import { type Admission, type Count, type Life, LONGEST_WAY } from './count.ts'

function sum(costs: readonly { readonly cost: number }[]): number {
  return costs.reduce((all, { cost }) => all + cost, 0)
}

function isHard({ plan }: Life): boolean {
  return plan.mode === 'hard'
}

/** What of a life's admissions the store may have, and what it must have, at the end. */
interface Counted {
  least: number
  most: number
}

/**
 * The store counts exactly what was admitted and not given back. Not known is only what became of a hard check that
 * had no answer, of a node that ended while the store did not answer, and after data loss of what no living node holds,
 * and of hard commands that were under way, and may come once more.
 */
export async function countsOnce(count: Count): Promise<void> {
  const { fleet, lives, verbs } = count
  const { lostAt } = fleet
  const counted: Counted = { least: 0, most: 0 }
  for (const life of lives) {
    const admitted = life.admitted.filter((admission) => mayCount(count, life, admission))
    counted.most += sum(admitted) + life.uncertain
    counted.most += sum(life.asked.filter(({ at }) => at <= lostAt && at > lostAt - LONGEST_WAY))
    const holds = isHard(life) ? life.alive : !life.replaced || life.leftInPeace
    if (!holds) continue
    // What it does not hold any more: also keys that were pushed out.
    const isGone = isHard(life) || life.replaced || fleet.history.several?.crowd !== undefined
    const gone = isGone ? lostAt : -Infinity
    counted.least += sum(admitted.filter((admission) => admission.at > gone && mustCount(count, admission)))
  }
  // What was booked for a node that could not give it back in time counts as spent, but for windows that are over.
  const left = lives.some((life) => !isHard(life) && life.replaced && !life.leftInPeace)
  const late = fleet.history.endsSlice && !fleet.isWell && forgottenBefore(count) === -Infinity
  if (left || late) counted.most += count.budget
  // A shortfall: a question for quota that the network repeats is booked some once there is some.
  else if (fleet.history.network.duplication > 0) counted.most += await count.booked()
  for (const { what, cost, known } of verbs) {
    const sure = known && lostAt === -Infinity
    if (what === 'penalty') {
      counted.most += cost
      if (sure) counted.least += cost
    } else {
      counted.least -= cost
      if (sure) counted.most -= cost
    }
  }
  const back = lives.flatMap(({ back }) => back)
  // A shortfall: what was taken of counts that were lost goes back to those that came after them.
  counted.least -= sum(back.filter(({ at }) => at <= lostAt))
  if (count.limit.algorithm === 'sliding-log') {
    // A shortfall: of what a log admitted in the slice before, so much as is booked does not go back: it may be booked ahead.
    const mayBook = lives.some(({ plan }) => plan.mode === 'leased' || plan.mode === 'capped')
    if (mayBook) counted.most += Math.min(count.budget, sum(back.filter(({ at }) => at < sliceBegan(count))))
    // A shortfall: a refund takes what came last, also where its check is about to give it back, and then finds nothing.
    counted.most += Math.min(count.refunded, sum(back))
  }
  const used = await count.used()
  const drained = await count.drained()
  if (used < counted.least || used - drained > counted.most + undrained(count))
    throw new Broken(
      `the store counts ${used} less ${drained}, and ${counted.least} to ${counted.most} was admitted`,
    )
}

/**
 * A shortfall: where more goes back of a bucket than was in use beside a cost, also of what was taken after it, what would
 * have drained of the cost by itself stays counted (decision 0024).
 */
function undrained({ limit, lives }: Count): number {
  if (!isBucket(limit)) return 0
  return (limit.limit / limit.window) * lives.reduce((sum, { held }) => sum + held, 0)
}

/** What checks were told is what the store took for them: of a check that one limit refuses, none keeps anything. */
export function takesWhatItTells({ fleet, lives }: Count): void {
  for (const life of lives.filter(isHard)) {
    const taken = sum(life.admitted)
    const stays = taken - sum([...life.freed])
    if (life.told > taken + life.uncertain)
      throw new Broken(`${life.told} was admitted, and ${taken} taken for it`)
    if (life.told < stays && life.alive && fleet.isWell)
      throw new Broken(`${life.told} was admitted, and ${stays} stays taken for it`)
  }
}

/** The first moment of the slice in which a history ends. */
function sliceBegan({ limit, fleet }: Count): number {
  return Math.floor(fleet.now / limit.window) * limit.window
}

/** As `sliceBegan`, if what was admitted before it counts no more. */
function forgottenBefore(count: Count): number {
  return count.limit.algorithm === 'fixed-window' ? sliceBegan(count) : -Infinity
}

/**
 * A shortfall: what a node with a wrong clock admits before it has heard the store at all counts in the window in which
 * it hears it, however late that is: too much is counted then, never too little.
 */
function mayCount(count: Count, life: Life, { at, believed }: Admission): boolean {
  return Math.max(at, believed) > forgottenBefore(count) - LONGEST_WAY || !heard(life, at)
}

function mustCount(count: Count, { at, believed }: Admission): boolean {
  return Math.min(at, believed) > forgottenBefore(count) + LONGEST_WAY
}

/** What was admitted before a reset is never counted again; what a node admitted that knows of it is. */
export async function forgetsWhatWasReset(count: Count): Promise<void> {
  const { lives, verbs } = count
  const resets = verbs.filter(({ what }) => what === 'reset')
  const reset = resets.filter(({ known }) => known).sort((one, other) => other.from - one.from)[0]
  if (reset === undefined) return
  const counted: Counted = { least: 0, most: 0 }
  for (const life of lives) {
    const known = knows(life, reset.until)
    // A node that had not heard of the key can't tell what it admitted before the reset from what after it.
    const from = heard(life, reset.from) ? Math.floor(reset.from) : -Infinity
    const after = life.admitted.filter(({ at }) => at >= from)
    counted.most += sum(after.filter((admission) => mayCount(count, life, admission)))
    counted.most += life.uncertain
    // A shortfall: of what was taken in the millisecond of the reset the store can't tell whether it was before, and keeps it.
    counted.most += sum(life.back.filter(({ at }) => at >= Math.floor(reset.from) && at <= reset.until))
    counted.least += sum(after.filter((admission) => admission.at > known && mustCount(count, admission)))
  }
  // Quota booked for others at a reset stays booked, since they may spend it.
  if (lives.some(({ plan, began }) => plan.mode === 'soft' && began <= reset.until))
    counted.most += count.budget
  const later = resets.some((other) => other !== reset && other.until + LONGEST_WAY > reset.from)
  if (later) counted.least = 0
  const used = await count.used()
  if (used < counted.least || used > counted.most)
    throw new Broken(`the store counts ${used}, and ${counted.least} to ${counted.most} came after the reset`)
}

/** Whether the store had answered a node for the key by then. */
function heard(life: Life, by: number): boolean {
  return isHard(life) || life.exchanges.some(({ replied }) => replied <= by)
}

/** From when on what a life admits is of the time after a reset. */
function knows(life: Life, reset: number): number {
  if (!life.alive || life.replaced) return Infinity
  if (isHard(life)) return reset
  // What left at the moment in which the reset was acknowledged may have come before it.
  const heard = life.exchanges.filter(({ sent, replied }) => sent > reset && replied < Infinity)
  return Math.min(Infinity, ...heard.map(({ replied }) => replied))
}
