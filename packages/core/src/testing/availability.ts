/** Whether a store answers: it may stall, or be away altogether. */
export class Availability {
  private stalledUntil = -Infinity
  private awayUntil = -Infinity

  constructor(
    private readonly now: () => number,
    /** Calls back at a time. */
    private readonly plan: (at: number, act: () => void) => void,
  ) {}

  stall(ms: number): void {
    this.stalledUntil = Math.max(this.stalledUntil, this.now() + ms)
  }

  goAway(ms: number): void {
    this.awayUntil = Math.max(this.awayUntil, this.now() + ms)
  }

  get away(): boolean {
    return this.now() < this.awayUntil
  }

  /** A request arrives: it is carried out now, after the stall, or not at all. */
  arrive(carryOut: () => void): void {
    if (this.away) return
    if (this.now() < this.stalledUntil) this.plan(this.stalledUntil, () => this.arrive(carryOut))
    else carryOut()
  }
}
