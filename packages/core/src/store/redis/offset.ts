import { DRIFT } from '../../clock.ts'

/**
 * The store's time, from its replies: the difference between its clock and our monotonic one lies between what a
 * reply's time allows if it was made just before the reply arrived and just after the command left. A difference
 * outside is moved to the nearer end, so that quick replies sharpen it, and a jump of the store's clock is
 * followed at once.
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
   * The latest that the store's time can be: a command is carried out after it has left. Time since then is what
   * the faster of both clocks says, so that neither a stopped one nor one that was put back makes it less, and a
   * thousandth more, since clocks differ in speed.
   */
  latest(monotonic: number, wall: number): number {
    const { last } = this
    const elapsed = Math.max(monotonic - last.monotonic, wall - last.wall)
    return this.heard ? last.storeTime + elapsed * (1 + DRIFT) : Infinity
  }

  /**
   * Takes in a reply: store time, the monotonic times at which the command left and the reply arrived, and the
   * wall clock's when it left. The store's may have been later than it says, by less than `cut`.
   */
  learn(storeTime: number, sent: number, received: number, sentWall: number, cut = 0): void {
    // Replies may overtake one another; that of the command that left last is the nearest.
    if (sent >= this.last.monotonic)
      this.last = { storeTime: storeTime + cut, monotonic: sent, wall: sentWall }
    const least = storeTime - received
    const most = storeTime + cut - sent
    if (!this.heard) this.offset = (least + most) / 2
    this.heard = true
    this.offset = Math.min(Math.max(this.offset, least), most)
  }
}
