/** Checks to come, by time: what a simulation asks its nodes. */
export interface Traffic {
  /** When the next check is made, in milliseconds since the simulation began; `Infinity`: there is none. */
  readonly at: number
  /** The index of the node that is asked. */
  readonly node: number
  readonly key: string
  readonly cost: number
  /** Goes on to the check after it. */
  next(): void
}

export interface PoissonOptions {
  /** Numbers from 0 to 1, such as `seededRandom(1)`. */
  random: () => number
  /** Checks per second by all nodes together; a function if it changes over time. */
  rate: number | ((time: number) => number)
  /** The highest rate, if it changes. */
  peak?: number
  /** Which node is asked: one of the first `nodes` at random, one by weight, or as a function of the time says. */
  nodes: number | readonly number[] | ((time: number, random: () => number) => number)
  /** Which key; default always `'key'`. */
  key?: string | ((random: () => number) => string)
  /** Which cost; default 1. */
  cost?: number | ((random: () => number) => number)
  /** Milliseconds since the simulation began; default 0. */
  from?: number
}

/**
 * Checks that come independently of each other, as those of many users do.
 *
 * @example
 * ```ts
 * import { PoissonTraffic, seededRandom } from '@spillway/core/testing'
 *
 * const traffic = new PoissonTraffic({ random: seededRandom(1), rate: 1000, nodes: [3, 1] })
 * console.log(traffic.at > 0, traffic.node === 0 || traffic.node === 1) // true true
 * ```
 */
export class PoissonTraffic implements Traffic {
  at: number
  node = 0
  key = 'key'
  cost = 1
  private readonly peak: number
  private readonly cumulative: Float64Array | undefined

  constructor(private readonly options: PoissonOptions) {
    const { rate, peak, nodes, from = 0 } = options
    const highest = peak ?? rate
    if (typeof highest !== 'number') throw new TypeError('PoissonTraffic: a rate that changes needs its peak')
    this.peak = highest
    this.at = from
    if (typeof nodes === 'object') {
      let sum = 0
      this.cumulative = Float64Array.from(nodes, (weight) => (sum += weight))
    }
    this.next()
  }

  next(): void {
    const { random, rate, key, cost } = this.options
    do {
      this.at += (-Math.log(1 - random()) / this.peak) * 1000
    } while (typeof rate === 'function' && random() * this.peak >= rate(this.at))
    this.node = this.pickNode()
    if (key !== undefined) this.key = typeof key === 'string' ? key : key(random)
    if (cost !== undefined) this.cost = typeof cost === 'number' ? cost : cost(random)
  }

  private pickNode(): number {
    const { random, nodes } = this.options
    if (typeof nodes === 'function') return nodes(this.at, random)
    const { cumulative } = this
    if (cumulative === undefined) return Math.floor(random() * (nodes as number))
    const place = random() * (cumulative.at(-1) as number)
    let low = 0
    let high = cumulative.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] as number) > place) high = middle
      else low = middle + 1
    }
    return low
  }
}
