/** Demand travels as an integer: whole units of cost per hour. */
const PER_HOUR = 3_600_000

/**
 * How fast cost is asked for, on this node and on the others, in cost per millisecond. Denied checks count: admitted
 * cost falls to nothing just when demand matters.
 */
export class Demand {
  own = 0
  others = 0
  /** The part of `own` from costs that fit into what is left: only that can be spent. */
  fitting = 0
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
   */
  look(offered: number, oversized: number, monotonic: number, memory: number): boolean {
    const elapsed = monotonic - this.lookedAt
    if (elapsed < 1) return false
    this.watched += elapsed
    const weight = Math.max(1 - Math.exp(-elapsed / memory), elapsed / (this.watched + memory / 4))
    this.own += (offered / elapsed - this.own) * weight
    this.fitting += ((offered - oversized) / elapsed - this.fitting) * weight
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
