import { refundOf } from './checks.ts'
import type { Receipt } from './decider.ts'
import { Line } from './line.ts'
import type { Operation } from './store/store.ts'
import type { Verb } from './verbs.ts'

/** The fraction of a window within which costs that were taken may go back together. */
const SPREAD = 1 / 16

/** Cost taken of a key, which goes back by one operation. */
class GiveBack implements Verb {
  /** It has left, or waits elsewhere. */
  isGone = false
  /** An earlier one of the key that waits, too. */
  before: GiveBack | undefined
  /** Resolves once it has gone back, or can't. */
  readonly ended: Promise<void>
  resolve!: () => void
  readonly reject: () => void

  constructor(
    readonly key: string,
    private cost: number,
    private receipt: Receipt,
  ) {
    this.ended = new Promise((resolve) => {
      this.resolve = resolve
    })
    // Nobody can do anything about it: the cost stays taken until time frees it.
    this.reject = this.resolve
  }

  get operation(): Operation {
    return refundOf(this.key, this.cost, 0, this.receipt)
  }

  /**
   * Whether another cost goes back with this one, by the earlier receipt. In a window, both must be of the same one. In
   * a log, what is left then ends later; in a bucket, what has drained since the earlier take counts as drained, once:
   * as if all had been taken then.
   */
  private isOne({ at, marker, others }: Receipt, window: number): boolean {
    const its = this.receipt
    if (marker !== its.marker || at < its.at || at - its.at > SPREAD * window) return false
    if (Math.floor(at / window) !== Math.floor(its.at / window)) return false
    // Within a millisecond nobody knows which came first, if anything of the bucket went back.
    return at > its.at || (others[2] === its.others[2] && others[3] === its.others[3])
  }

  /** Adds a cost if it goes back with this one; returns whether it does. */
  add(cost: number, receipt: Receipt, window: number): boolean {
    if (!this.isOne(receipt, window)) return false
    this.cost += cost
    // The one with less beside it was taken first.
    if (receipt.at === this.receipt.at && receipt.others[0] < this.receipt.others[0]) this.receipt = receipt
    return true
  }
}

/**
 * What hard checks took and other limits refused, waiting to go back: summed for each key, so that as many wait as
 * there are keys, not as there were checks.
 */
export class GiveBacks {
  private readonly line = new Line<GiveBack>()
  /** By key, the latest that waits. */
  private readonly latest = new Map<string, GiveBack>()
  /** How many wait. */
  size = 0

  /**
   * @param window of the limit, in milliseconds
   * @param most how many may wait
   */
  constructor(
    private readonly window: number,
    private readonly most: number,
  ) {}

  /** Resolves once it has gone back, or can't. */
  add(key: string, cost: number, receipt: Receipt): Promise<void> {
    const before = this.latest.get(key)
    if (before?.add(cost, receipt, this.window)) return before.ended
    if (this.size >= this.most) return Promise.resolve()
    const its = new GiveBack(key, cost, receipt)
    its.before = before
    this.latest.set(key, its)
    this.line.push(its)
    this.size++
    return its.ended
  }

  /** Takes out up to `most` of those that have waited longest. */
  take(most: number): Verb[] {
    const taken: Verb[] = []
    while (taken.length < most) {
      const next = this.line.shift()
      if (next === undefined) break
      if (next.isGone) continue
      this.leave(next)
      taken.push(next)
    }
    return taken
  }

  /** Takes out all of a key, in order. */
  takeOf(key: string): Verb[] {
    const taken: Verb[] = []
    for (let its = this.latest.get(key); its !== undefined; its = its.before) if (!its.isGone) taken.push(its)
    for (const its of taken) this.leave(its as GiveBack)
    return taken.reverse()
  }

  private leave(its: GiveBack): void {
    its.isGone = true
    its.before = undefined
    this.size--
    if (this.latest.get(its.key) === its) this.latest.delete(its.key)
  }
}
