/** Demand travels in whole units of cost an hour, so that it is an integer on the way. */
const PER_HOUR = 3_600_000

/**
 * How fast cost is asked for, on this node and on the others, in cost per millisecond. Denied checks count: what is
 * admitted falls to nothing just when demand matters.
 */
export class Demand {
  own = 0
  others = 0
  /** What of `own` is of costs that what is left has room for: only that can be spent. */
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
   * Takes in what was offered since the last look, unless that was just now: an exponential average, which begins as a
   * plain one, as if nothing had been offered for a quarter of `memory` before.
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

  /** Whether at least half of the expected cost that can be spent was offered since the last look. */
  isSteady(offered: number, monotonic: number): boolean {
    return this.fitting > 0 && offered >= (this.fitting * (monotonic - this.lookedAt)) / 2
  }

  /** This node's demand, as it travels. */
  get sent(): number {
    return Math.round(this.own * PER_HOUR)
  }

  /**
   * Takes in the sum that the store has in `slice`. If sums begin anew with each slice, and not all nodes have spoken
   * in it yet (`fresh`), the sum of the slice before stands until then.
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
   * This node's share of all demand; until it is known, an equal share at most, and just that without any demand of its
   * own.
   */
  share(nodes: number, memory: number): number {
    const all = this.own + this.others
    const part = all > 0 ? this.own / all : 1
    if (this.isKnown(memory)) return part
    return this.own > 0 ? Math.min(part, 1 / nodes) : 1 / nodes
  }
}
