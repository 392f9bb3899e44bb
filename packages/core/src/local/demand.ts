/** Demand travels as an integer: whole units of cost per hour. */
const PER_HOUR = 3_600_000

/** An average that takes in a rate. Never below zero: that would be taken off what the others tell the store. */
function averaged(average: number, rate: number, weight: number): number {
  return Math.max(0, average + (rate - average) * weight)
}

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
  /** What was offered between the last two looks, less what was known then to be more than what was left. */
  private lately = 0
  /** What a unit of that counts for in the averages. */
  private weightLately = 0
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
   * @param oversized what was more than what was left: part of `offered`, or `earlier`
   * @param counted what `oversized` counts for in this node's share
   */
  look(offered: number, oversized: number, counted: number, monotonic: number, memory: number): boolean {
    const elapsed = monotonic - this.lookedAt
    if (elapsed < 1) return false
    this.watched += elapsed
    const weight = Math.max(1 - Math.exp(-elapsed / memory), elapsed / (this.watched + memory / 4))
    const part = oversized > 0 ? counted / oversized : 1
    const earlier = this.earlier(offered, oversized)
    const fits = offered - (oversized - earlier)
    // Checks that waited have counted in whole: that, and no more, is taken off.
    const before = earlier * this.weightLately
    this.own = averaged(this.own - (1 - part) * before, (fits + part * (offered - fits)) / elapsed, weight)
    this.fitting = averaged(this.fitting - before, fits / elapsed, weight)
    this.whole = averaged(this.whole, offered / elapsed, weight)
    this.lately = fits
    this.weightLately = weight / elapsed
    this.lookedAt = monotonic
    return true
  }

  /**
   * What of `oversized` was offered before the last look, by checks that waited: all that may have been, where it is more
   * than was offered since. Otherwise it can't be told from that.
   */
  earlier(offered: number, oversized: number): number {
    return oversized > offered ? Math.min(oversized, this.lately) : 0
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
