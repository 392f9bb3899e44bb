import type { Decision } from '../../src/decision.ts'
import { AcquireError, ConfigError, StoreError } from '../../src/errors.ts'
import type { Operation } from '../../src/store/store.ts'
import type { Asked } from './asked.ts'
import type { Admission, Count, Life, NodeLife } from './count.ts'
import type { Fleet, Player } from './fleet.ts'
import type { Step } from './history.ts'

/** So many may wait for a key on a node. */
export const MAX_WAITING = 3

/** Longest after which a reservation is settled, and after which it can't be any more. */
const LONGEST_CALL = 500
const SETTLE_AFTER = 400

/** Milliseconds by which a node may have asked before the store took, where all is well: it goes by when it asked. */
const ASKED_BEFORE = 41

/** One that waits for its turn. */
interface Acquiring {
  readonly node: NodeLife
  readonly asked: Asked
}

class GivenUp extends Error {}

/** Checks that are not over with their decision: those that wait to be allowed, and those whose cost is told later. */
export class Claims {
  /** A reservation is being settled: what goes back now was told of, and is noted as given back. */
  settling = false
  readonly settled = new WeakSet<Operation>()
  private readonly waiting = new Set<Acquiring>()

  constructor(private readonly fleet: Fleet) {}

  acquire(player: Player, asked: Asked, { cost, ms, plan }: Step): void {
    const { node, life } = player
    const { fleet } = this
    const { simulation } = fleet
    const before = [...this.waiting].filter((one) => one.node === life && one.asked === asked)
    const mine: Acquiring = { node: life, asked }
    const from = fleet.now
    this.waiting.add(mine)
    const controller = new AbortController()
    const gaveUp = new GivenUp()
    // Some while they wait, some while they are asked for.
    const patience = [ms / 2, ms % 4][plan % 3]
    if (patience !== undefined)
      simulation.at(simulation.time + patience, () => {
        if (isRunning(player, life, simulation.time)) controller.abort(gaveUp)
      })
    const note = fleet.noting(life, asked, cost)
    const limit = asked.plan === undefined ? {} : { limit: asked.plan as [] }
    node.limiter
      .acquire(asked.keys as string, { cost, signal: controller.signal, maxWait: 1 + ms, ...limit })
      .then(
        (decision) => {
          this.waiting.delete(mine)
          if (isTaken(decision)) {
            // One that paces has been served, and waits for a turn of its own.
            if (!isPaced(asked) && before.some((one) => this.waiting.has(one)))
              fleet.wrongs.push('one that came later was served before')
            note(decision, decision.delayMs)
          }
        },
        (error: unknown) => {
          this.waiting.delete(mine)
          if (!life.alive) return
          if (isFull(error) && before.length < MAX_WAITING)
            fleet.wrongs.push('a line was full with too few that wait')
          if (!isExpected(error, gaveUp)) fleet.wrongs.push(`an acquire failed: ${error}`)
          for (const count of asked.counts) noteFreed(count.life(life), cost, from, fleet.now)
          // What the store did not acknowledge to have back stays taken, and what may have been taken in the slice before.
          if (life.plan.mode !== 'hard')
            for (const count of countsOf(asked))
              if (!fleet.isWell || (fleet.history.endsSlice && isOfSlices(count)))
                count.life(life).uncertain += cost
        },
      )
  }

  reserve(player: Player, asked: Asked, { cost, ms, plan }: Step): void {
    const { node, life } = player
    const { fleet } = this
    const { simulation } = fleet
    const limit = asked.plan === undefined ? {} : { limit: asked.plan as [] }
    const estimate = 2 * cost
    const note = fleet.noting(life, asked, estimate)
    const settleAfter = SETTLE_AFTER
    node.limiter.reserve(asked.keys as string, estimate, { settleAfter, ...limit }).then(
      (reservation) => {
        note(reservation)
        if (!isTaken(reservation) || !life.alive) return
        const counts = reservation.spike ? [asked.reserve as Count] : asked.counts
        // It goes back by its settlement, if it does.
        for (const count of counts) count.life(life).refundable -= estimate
        simulation.at(simulation.time + (ms % LONGEST_CALL), () => {
          // What an earlier day has of it can't be given back in the next one.
          if (!isRunning(player, life, simulation.time) || life.replaced || fleet.history.endsSlice) return
          const actual = plan % (estimate + 2)
          this.settling = true
          const done = actual === 0 ? reservation.release() : reservation.settle(actual)
          this.settling = false
          if (actual < estimate) fleet.verb('refund', counts, estimate - actual, done)
          else if (actual > estimate) fleet.verb('penalty', counts, actual - estimate, done)
        })
      },
      (error: unknown) => {
        if (!(error instanceof StoreError)) fleet.wrongs.push(`a reservation failed: ${error}`)
      },
    )
  }

  /**
   * Which of a hard node's admissions go back; none: it did not take that. Who waited says about when it took: of a bucket, in
   * its own way. What waits to go back is summed with what was taken soon after.
   */
  takenAt({ admitted, late, window }: Life, cost: number, at: number): Admission[] {
    const all = [...admitted, ...late]
    const exactly = all.find((admission) => admission.at === at && admission.cost === cost)
    if (exactly !== undefined) return [exactly]
    const slice = Math.floor(at / window)
    const soon = all.filter(
      (one) => one.at >= at && one.at <= at + window / 16 && Math.floor(one.at / window) === slice,
    )
    const summed = thatSum(soon, cost)
    if (summed !== undefined) return summed
    const last = admitted.findLast((admission) => admission.cost === cost)
    return last === undefined ? [] : [last]
  }

  /** All nodes that live are closed: nobody may be left waiting. */
  over(): void {
    for (const { node } of this.waiting) if (node.alive) this.fleet.wrongs.push('one waits for ever')
  }
}

/** Some of them that cost so much together, the first ones where there are several. */
function thatSum(admissions: readonly Admission[], cost: number): Admission[] | undefined {
  const some = new Map<number, Admission[]>([[0, []]])
  for (const admission of admissions)
    for (const [sum, its] of [...some])
      if (!some.has(sum + admission.cost)) some.set(sum + admission.cost, [...its, admission])
  return some.get(cost)
}

/** Whether the process of that life does anything at this time: neither dead nor standing still. */
function isRunning({ pausedUntil }: Player, life: NodeLife, time: number): boolean {
  return life.alive && time > pausedUntil
}

function isPaced({ counts }: Asked): boolean {
  return counts.some(({ numbers }) => numbers.algorithm === 'leaky-bucket')
}

/** An acquire gave up: what it took of a limit since it came, if time has freed that, need not go back. */
function noteFreed({ admitted, freed }: Life, cost: number, from: number, to: number): void {
  const its = admitted.findLast(
    (one) =>
      one.cost === cost && one.at >= from && (one.until ?? Infinity) <= to + ASKED_BEFORE && !freed.has(one),
  )
  if (its !== undefined) freed.add(its)
}

function countsOf({ counts, reserve }: Asked): readonly Count[] {
  return reserve === undefined ? counts : [...counts, reserve]
}

/** What was taken of it before a slice began does not all go back after that. */
function isOfSlices({ numbers }: Count): boolean {
  return numbers.algorithm === 'fixed-window' || numbers.algorithm === 'sliding-log'
}

function isTaken({ allowed, wouldDeny, source }: Decision): boolean {
  return allowed && !wouldDeny && source !== 'outage'
}

function isFull(error: unknown): boolean {
  return error instanceof AcquireError && error.code === 'ERR_QUEUE_FULL'
}

function isExpected(error: unknown, gaveUp: GivenUp): boolean {
  const isClosed = error instanceof ConfigError && error.code === 'ERR_CLOSED'
  return error === gaveUp || error instanceof AcquireError || error instanceof StoreError || isClosed
}
