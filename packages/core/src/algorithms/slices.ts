/**
 * Time as numbered slices of one length since the Unix epoch: in a key, a small integer takes less room than a time.
 * The slice of the last call is remembered, since calls come in bursts.
 */
export class Slices {
  private slice = 0
  private begins = 0
  private ends = 0

  /** @param length milliseconds */
  constructor(private readonly length: number) {}

  /** The slice in which the moment lies. */
  at(now: number): number {
    if (now >= this.ends || now < this.begins) this.move(now)
    return this.slice
  }

  private move(now: number): void {
    this.slice = Math.floor(now / this.length)
    this.begins = this.slice * this.length
    this.ends = this.begins + this.length
  }

  /** When the slice ends. */
  end(slice: number): number {
    return (slice + 1) * this.length
  }

  /** The slice that ends then. */
  endingAt(end: number): number {
    return Math.round(end / this.length) - 1
  }
}
