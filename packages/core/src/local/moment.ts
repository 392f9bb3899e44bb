import { Slices } from '../algorithms/slices.ts'
import type { Table } from '../store/store.ts'
import type { Burst } from './burst.ts'

/** The store's time for the short paths: a reading costs as much as a decision, so the checks of a burst share one. */
export class Moment {
  /**
   * Not a number at first, so that V8 keeps it as an object of its own: handed on, it takes no new room on the heap.
   */
  now = undefined as unknown as number
  /** The slice of `now`. */
  slice = -Infinity
  private readonly slices: Slices
  /** How many more checks share the reading. */
  private left = 0
  /** How many checks it was made for. */
  private checks = 1
  ending = false

  /** @param window milliseconds */
  constructor(
    private readonly table: Table,
    private readonly burst: Burst,
    window: number,
  ) {
    this.slices = new Slices(window)
  }

  /**
   * To be called for each check: `now` is then of this moment, or of an earlier check in this turn of the event loop.
   */
  look(): void {
    if (this.left > 0) this.left--
    else this.read()
  }

  /** The next check shares no reading with those before it. */
  renew(): void {
    this.left = 0
  }

  /** Whether the reading was made for an earlier check. */
  get isShared(): boolean {
    return this.left < this.checks - 1
  }

  private read(): void {
    // The first known time may be hours from the guess.
    if (this.table.known) {
      this.checks = this.burst.sharers(this)
      this.left = this.checks - 1
    }
    const now = this.table.now()
    if (now === this.now) return
    this.now = now
    this.slice = this.slices.at(now)
  }

  /** The turn of the event loop is over. */
  endTurn(): void {
    this.left = 0
    this.checks = 1
  }
}
