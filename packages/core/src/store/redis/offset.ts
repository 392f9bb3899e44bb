/**
 * The store's time, from its replies: the difference between its clock and our monotonic one lies between what a
 * reply's time allows if it was made just before the reply arrived and just after the command left. A difference
 * outside is moved to the nearer end, so that quick replies sharpen it, and a jump of the store's clock is
 * followed at once.
 */
export class StoreOffset {
  private offset: number
  private heard = false

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

  /** Takes in a reply: store time, and the monotonic times at which the command left and the reply arrived. */
  learn(storeTime: number, sent: number, received: number): void {
    const least = storeTime - received
    const most = storeTime - sent
    if (!this.heard) this.offset = (least + most) / 2
    this.heard = true
    this.offset = Math.min(Math.max(this.offset, least), most)
  }
}
