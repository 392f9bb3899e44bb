/** Demand travels as an integer: whole units of cost per hour. */
const PER_HOUR = 3_600_000

/**
 * How fast cost is asked for, on this node and on the others, in cost per millisecond. Denied checks count: admitted
 * cost falls to nothing just when demand matters.
 */
export class Demand {
  /** What this node's share goes by: costs that are more than what is left hardly count, or others would want for it. */
  own = 0
  /** What the others told of theirs, counted in the same way. */
  others = 0
  /** The part of `own` from costs that fit into what is left: only that can be spent. */
  fitting = 0
  /** As `own`, with all costs in whole: once there is room, the large ones may come at any moment. */
  whole = 0
  /** What was offered between the last two looks. */
  lately = 0
  private lookedAt: number
  private watched = 0
  private slice = 0
  private heard = 0
  private before = 0

  constructor(monotonic: number) {
    this.lookedAt = monotonic
  }

  /**
   * Takes in what was offered since the last look, unless that was less than a millisecond ago. The average is
   * exponential but begins as a plain one, as if nothing had been offered for a quarter of `memory` before.
   *
   * @param oversized the part of `offered` that was more than what was left. It may be of what was offered before, by
   * checks that waited: then it is taken off what they counted for, as nearly as that can be told by now
   * @param counted what that part counts for in this node's share
   */
  look(offered: number, oversized: number, counted: number, monotonic: number, memory: number): boolean {
    const elapsed = monotonic - this.lookedAt
    if (elapsed < 1) return false
    this.watched += elapsed
    const weight = Math.max(1 - Math.exp(-elapsed / memory), elapsed / (this.watched + memory / 4))
    const own = this.own + ((offered - oversized + counted) / elapsed - this.own) * weight
    // Below zero it would be taken off what the others tell the store.
    this.own = Math.max(0, own)
    this.whole += (offered / elapsed - this.whole) * weight
    const fitting = this.fitting + ((offered - oversized) / elapsed - this.fitting) * weight
    this.fitting = Math.max(0, fitting)
    this.lately = offered
    this.lookedAt = monotonic
    return true
  }

  /** Whether at least half of the expected fitting cost was offered since the last look. */
  isSteady(offered: number, monotonic: number): boolean {
    return this.fitting > 0 && offered >= (this.fitting * (monotonic - this.lookedAt)) / 2
  }

  /** This node's demand, as the store is told. */
  get sent(): number {
    return Math.round(this.own * PER_HOUR)
  }

  /**
   * Takes in the store's sum of demand in `slice`. While sums that begin anew with each slice lack nodes (`fresh`), the
   * others' demand is at least that of the slice before.
   */
  hear(sum: number, sent: number, slice: number, fresh: boolean): void {
    if (slice > this.slice) {
      this.slice = slice
      this.before = this.heard
    }
    this.heard = Math.max(0, sum - sent) / PER_HOUR
    this.others = fresh ? Math.max(this.heard, this.before) : this.heard
  }

  /**
   * The others' demand with large costs in whole, as far as can be told from here: if they are asked for as large ones as
   * this node is.
   */
  get othersWhole(): number {
    return this.own > 0 ? this.others * (this.whole / this.own) : this.others
  }

  /** All demand, with large costs in whole. */
  get total(): number {
    return this.whole + this.othersWhole
  }

  /** Whether demand has been watched for long enough to tell this node's share of it. */
  isKnown(memory: number): boolean {
    return this.watched >= memory
  }

  /**
   * This node's share of all demand. Until that is known, at most an equal share, and exactly that if the node has no
   * demand of its own.
   */
  share(nodes: number, memory: number): number {
    const all = this.own + this.others
    const part = all > 0 ? this.own / all : 1
    if (this.isKnown(memory)) return part
    return this.own > 0 ? Math.min(part, 1 / nodes) : 1 / nodes
  }
}
