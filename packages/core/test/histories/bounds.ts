import { isBucket, type Limit } from '../../src/algorithms/algorithm.ts'
import { quota, usageOf } from '../../src/testing/usage.ts'
import type { Admission, Count, Life } from './count.ts'
import { limitOf } from './history.ts'

/** What goes wrong in a history: the property that it breaks. */
export class Broken extends Error {
  override name = 'Broken'
}

/** An admission, and in whose life. */
type Admitted = Admission & { readonly life: Life }

function allAdmitted({ lives }: Count): Admitted[] {
  return lives.flatMap((life) => life.admitted.map((admission) => ({ ...admission, life })))
}

/**
 * From when on the limit may have been in force by which this was admitted: quota that was booked by it is good until
 * its slice is over; what a node decides by itself goes by what it has heard.
 */
function decidedFrom({ limit }: Count, { at, life }: Admitted): number {
  const { mode } = life.plan
  if (mode === 'hard') return at
  const booked = Math.floor(at / limit.window) * limit.window
  if (mode === 'leased' || mode === 'capped') return booked
  const heard = life.exchanges.filter(({ replied }) => replied <= at).map(({ sent }) => sent)
  return Math.min(booked, heard.length > 0 ? Math.max(...heard) : -Infinity)
}

/**
 * The most by which what is in use passed the limit in force and its share on top, by the definition of usage; below 0:
 * it never came near.
 *
 * @param limit by which usage is counted: of a bucket, the one that frees most
 */
function mostOver(count: Count, limit: Limit, admissions: readonly Admitted[]): number {
  const usage = usageOf(limit)
  let most = -limit.limit
  for (const admitted of [...admissions].sort((one, other) => one.at - other.at)) {
    const at = Math.floor(admitted.at)
    usage.admit(at, admitted.cost)
    const budget = count.budgetOf(count.mostInForce(decidedFrom(count, admitted), admitted.at))
    most = Math.max(most, usage.over(at) + limit.limit - budget)
  }
  return most
}

/** The stretches of time before which each reset was, or was not; in none of them can one tell. */
function generations({ verbs }: Count): { from: number; until: number }[] {
  const resets = verbs.filter(({ what }) => what === 'reset').sort((one, other) => one.from - other.from)
  const stretches: { from: number; until: number }[] = []
  let from = -Infinity
  for (const reset of resets) {
    stretches.push({ from, until: Math.floor(reset.from) })
    // one that was not acknowledged may be under way for as long as a message
    from = Math.max(from, reset.known ? reset.until : reset.until + 100)
  }
  stretches.push({ from, until: Infinity })
  return stretches
}

/** Of a fixed window: what went back before it began, or once it was over, makes no room in it. */
function keepsEachWindow(count: Count, all: readonly Admitted[]): void {
  const { limit, verbs } = count
  const { algorithm, window } = limit
  if (algorithm !== 'fixed-window' || verbs.some(({ what }) => what === 'reset')) return
  const sliceOf = ({ at }: Admitted) => Math.floor(at / window)
  for (const slice of new Set(all.map(sliceOf))) {
    const [begins, ends] = [slice * window, (slice + 1) * window]
    const back = verbs
      .filter(({ what, from, until }) => what === 'refund' && from < ends && until >= begins)
      .reduce((sum, { cost }) => sum + cost, 0)
    const its = all.filter((admitted) => sliceOf(admitted) === slice)
    const over = mostOver(count, limit, its)
    if (over > back)
      throw new Broken(
        `usage was ${over} above what may be in use, and ${back} was given back in that window`,
      )
  }
}

/**
 * With booked quota no more than the budget is in use: not above the limit and its share. What was given back may be
 * used again; a reset begins anew.
 */
export function keepsBudget(count: Count): void {
  const { limit, refunded } = count
  const all = allAdmitted(count)
  keepsEachWindow(count, all)
  for (const { from, until } of generations(count)) {
    const over = mostOver(
      count,
      limit,
      all.filter(({ at }) => at > from && at < until),
    )
    if (over > refunded)
      throw new Broken(
        `usage was ${over} above what may be in use, and no more than ${refunded} was given back`,
      )
  }
}

/** Stretches from one of a node's flushes being sent to the reply to the next: what it admits in one, others can't know. */
function stretches({ flushes, began }: Life): { from: number; until: number }[] {
  const answered = flushes
    .filter(({ replied }) => replied < Infinity)
    .sort((one, other) => one.replied - other.replied)
  const found: { from: number; until: number }[] = []
  let from = began
  for (const { sent, replied } of answered) {
    found.push({ from, until: replied })
    from = Math.max(from, sent)
  }
  found.push({ from, until: Infinity })
  return found
}

/**
 * The soft bound of the design: L + the sum, over all nodes but the one with the smallest term, of
 * min(what was offered to the node in a stretch, L + what time frees in it). What a node whose idea of the store's
 * time was wrong has put into the wrong window comes on top.
 */
export function keepsSoftBound(count: Count): void {
  const { limit, lives } = count
  const rate = isBucket(limit) ? quota(limit) / limit.window : 0
  const soft = lives.filter(({ plan }) => plan.mode === 'soft' || plan.mode === 'fixed')
  const terms = lives.map((life) => {
    const unknown = soft.includes(life) ? stretches(life) : soft.flatMap(stretches)
    return Math.max(
      0,
      ...unknown.map(({ from, until }) => {
        const within = life.offered.filter((offer) => offer.until >= from && offer.at <= until)
        const cost = within.reduce((sum, offer) => sum + offer.cost, 0)
        const last = within.reduce((latest, offer) => Math.max(latest, offer.until), from)
        return Math.min(cost, limit.limit + Math.ceil(rate * (last - from)))
      }),
    )
  })
  // A key that was pushed out and comes back while the store does not answer begins anew, as on one node more.
  const known = count.fleet.history.several?.crowd === undefined ? Math.min(...terms) : 0
  const bound = terms.reduce((sum, term) => sum + term, count.refunded) - known
  const all = allAdmitted(count)
  const error = Math.ceil(all.reduce((most, { at, believed }) => Math.max(most, Math.abs(at - believed)), 0))
  const over = mostOver(count, withoutError(count, error), all) - misplaced(limit, all, error)
  if (over > bound)
    throw new Broken(`usage was ${over} above what may be booked, and the soft bound is ${bound}`)
}

/** Of a log, only what is younger than the window by more than the clocks' error is known to be in it. */
function withoutError({ limit }: Count, error: number): Limit {
  const { algorithm, window } = limit
  if (algorithm !== 'sliding-log' || error === 0) return limit
  return limitOf({ algorithm, limit: limit.limit, window: Math.max(1, window - 2 * error) })
}

function misplaced(limit: Limit, all: readonly Admission[], error: number): number {
  if (isBucket(limit)) return Math.ceil((quota(limit) / limit.window) * error)
  if (limit.algorithm === 'sliding-log') return 0
  const slice = (time: number) => Math.floor(time / limit.window)
  const elsewhere = all.filter(({ at, furthest }) => slice(at) !== slice(furthest))
  const total = all.reduce((sum, { cost }) => sum + cost, 0)
  // the weight of the window before is wrong by what the clock is
  const weight = limit.algorithm === 'sliding-window' ? Math.ceil((total * error) / limit.window) : 0
  return elsewhere.reduce((sum, { cost }) => sum + cost, weight)
}
