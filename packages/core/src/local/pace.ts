import { Demand } from './demand.ts'

/** What a node goes by in pacing a key that it shares with others. */
export class Pace extends Demand {
  /** Of the demand that the store was told. */
  demandSent = 0
  /** Monotonic time at which the store was last heard of this key. */
  heardAt: number
  /** A fixed window has begun since. */
  isOutdated = false
  /** Whether some of it was wanted when the store was last asked: what it then told says what a check would be given. */
  hasAsked = false
  /** Whether what time frees is shared out in turns; then, the usage and the headroom when the store was heard. */
  takesTurns = false
  turn = 0
  /** What is to be had in a turn, about. */
  freed = 0
  usedThen = 0
  /** Whether less than one is to be had in a turn. */
  hasLittle = false
  planned = 0
  /** What is pending when the store is asked, on average. */
  turnPending = 0
  /** What is booked for other nodes, some of which may come back. */
  elsewhere = 0
  /** What of it does not count as used. */
  besides = 0
  /** Monotonic time before which asking the store again is of no use. */
  quietUntil = -Infinity
  /** Of the cost offered since the last look: what was more than there was left, and would not pass by what is booked. */
  oversized = 0
  /** The largest cost that was refused for want of quota since the store was last asked. */
  wanted = 0
  /** What the store was last asked for at least. */
  asked = 0
  /** Whether as much seemed to be free then: otherwise that it booked less says nothing of the clocks. */
  asksFree = false
  /** How often in a row it then booked less. */
  fruitless = 0

  /** @param since monotonic time at which the key was taken into RAM */
  constructor(since: number) {
    super(since)
    this.heardAt = since
  }

  /** The answer that comes, if any, is not to be taken for one to a question for quota. */
  askedNothing(): void {
    this.asked = 0
    this.hasAsked = false
  }

  /** What is booked for other nodes and counts as used. */
  get countsAsUsed(): number {
    return this.elsewhere - this.besides
  }
}

/** That of a key of which nobody else is known to ask. */
export const ALONE = new Pace(0)
Object.freeze(ALONE)
