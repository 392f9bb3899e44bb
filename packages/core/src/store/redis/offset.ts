import { DRIFT } from '../../clock.ts'

/**
 * The store's time, learned from its replies. A reply is made after its command left and before it arrives itself,
 * which bounds the offset between the store's clock and our monotonic one. An offset out of bounds is moved to the
 * nearer bound: quick replies sharpen it, and a jump of the store's clock is followed at once.
 */
export class StoreOffset {
  private offset: number
  private heard = false
  private last = { storeTime: 0, monotonic: 0, wall: 0 }

  /** @param guess the difference to work with until the first reply: the wall clock's */
  constructor(guess: number) {
    this.offset = guess
  }

  get known(): boolean {
    return this.heard
  }

  /** Store time, for a monotonic time; both in milliseconds. */
  at(monotonic: number): number {
    return monotonic + this.offset
  }

  /**
   * The latest that the store's time can be: its last answer was made after the command left. The time since then is
   * what the faster of our clocks says, so that one that stopped or was put back makes it no less, and a thousandth
   * more, since clocks differ in speed.
   */
  latest(monotonic: number, wall: number): number {
    const { last } = this
    const elapsed = Math.max(monotonic - last.monotonic, wall - last.wall)
    return this.heard ? last.storeTime + elapsed * (1 + DRIFT) : Infinity
  }

  /**
   * Takes in a reply: store time, the monotonic times at which the command left and the reply arrived, and the wall
   * time at which it left. The true store time may be later than told, by less than `cut`.
   */
  learn(storeTime: number, sent: number, received: number, sentWall: number, cut = 0): void {
    // Replies may overtake one another: the one to the command that left last bounds best.
    if (sent >= this.last.monotonic)
      this.last = { storeTime: storeTime + cut, monotonic: sent, wall: sentWall }
    const least = storeTime - received
    const most = storeTime + cut - sent
    if (!this.heard) this.offset = (least + most) / 2
    this.heard = true
    this.offset = Math.min(Math.max(this.offset, least), most)
  }
}
