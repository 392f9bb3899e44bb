import { Demand } from './demand.ts'

/** The state by which a node paces a key that it shares with others. */
export class Pace extends Demand {
  /** This node's demand, as the store was last told. */
  demandSent = 0
  /** Monotonic time at which the store was last heard of this key, or a fixed window has begun since. */
  heardAt: number
  /** Whether a fixed window has begun since the store last answered a question for quota. */
  isOutdated = false
  /** Whether cost was wanted when the store was last asked: only then does its answer tell what a check would get. */
  hasAsked = false
  /** Whether what time frees is shared out in turns. */
  takesTurns = false
  turn = 0
  /** What this node gets in a turn, about. */
  freed = 0
  /** Usage and headroom when a soft node last planned its turn. */
  usedThen = 0
  planned = 0
  /** Pending cost when the store is asked, on average. */
  turnPending = 0
  /** Quota booked for other nodes, some of which may be given back. */
  elsewhere = 0
  /** The part of `elsewhere` that does not count as used. */
  besides = 0
  /** Monotonic time before which asking the store again is of no use. */
  quietUntil = -Infinity
  /** Monotonic time at which a node that is alone said that it would admit; Infinity: it said nothing. */
  promisedAt = Infinity
  /** The same of the next time, once the first one is due and nobody has asked since. */
  promisedNext = Infinity
  /** Cost offered since the last look by checks for more than what was left: booking would not let them pass. */
  oversized = 0
  /** How many checks that was. */
  oversizedChecks = 0
  /** What each of them cost, on average, when there last were any. */
  large = 0
  /** Cost offered since the last look by `checkSync`, which told that only the store could say: `check` is called next. */
  again = 0
  /** The largest cost that was refused for want of quota since the store was last asked. */
  wanted = 0
  /** The least that the store was last asked for. */
  asked = 0
  /** Whether that much seemed free then. Otherwise a smaller booking says nothing of the clocks. */
  asksFree = false
  /** How often in a row the store booked less than `asked`. */
  fruitless = 0

  /** @param since monotonic time at which the key was taken into RAM */
  constructor(since: number) {
    super(since)
    this.heardAt = since
  }

  /** A check was refused that costs more than what is left. */
  refusedOversized(cost: number): void {
    this.oversized += cost
    this.oversizedChecks++
  }

  /** No more than `most` was refused so: a check of several limits is decided on more than once. */
  keepOversizedWithin(most: number): void {
    if (this.oversized <= most) return
    this.oversizedChecks *= most / this.oversized
    this.oversized = most
  }

  /**
   * Takes in as demand what was offered since the last look, unless that was less than a millisecond ago.
   *
   * @param counted what the oversized cost counts for in this node's share
   */
  takeIn(offered: number, counted: number, monotonic: number, memory: number): boolean {
    if (!this.look(offered, this.oversized, counted, monotonic, memory)) return false
    if (this.oversizedChecks > 0) this.large = this.oversized / this.oversizedChecks
    this.oversized = 0
    this.oversizedChecks = 0
    this.again = 0
    return true
  }

  /** The next answer, if any, must not be taken for one to a question for quota. */
  askedNothing(): void {
    this.asked = 0
    this.hasAsked = false
  }

  /** Quota booked for other nodes that counts as used. */
  get countsAsUsed(): number {
    return this.elsewhere - this.besides
  }
}

/** The pace of a key that nobody else is known to ask for. */
export const ALONE = new Pace(0)
Object.freeze(ALONE)
