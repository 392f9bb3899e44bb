import { Slices } from '../algorithms/slices.ts'
import type { Clock } from '../clock.ts'
import type { Table } from '../store/store.ts'

/**
 * How many checks of a burst share a reading, and how many milliseconds apart they come at most: less than any request
 * takes, since only another turn of the event loop tells that a turn has ended, and that costs more than a reading.
 */
const BURST = 16
const APART = 0.003

/** The store's time for the short paths: a reading costs as much as a decision, so the checks of a burst share one. */
export class Moment {
  /**
   * Not a number at first, so that V8 keeps it as an object of its own: handed on, it takes no new room on the heap.
   */
  now = undefined as unknown as number
  /** The slice of `now`. */
  slice = -Infinity
  private readonly slices: Slices
  private readAt = -Infinity
  /** How many more checks share the reading. */
  private left = 0
  /** How many checks it was made for. */
  private checks = 1
  private ending = false

  /** @param window milliseconds */
  constructor(
    private readonly table: Table,
    private readonly clock: Clock,
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
    this.share()
    const now = this.table.now()
    if (now === this.now) return
    this.now = now
    this.slice = this.slices.at(now)
  }

  private share(): void {
    const { clock } = this
    // The first known time may be hours from the guess.
    if (clock.afterTurn === undefined || !this.table.known) return
    const monotonic = clock.monotonic()
    const isBurst = monotonic - this.readAt < APART * this.checks
    this.checks = isBurst ? BURST : 1
    if (isBurst) {
      this.left = BURST - 1
      if (!this.ending) {
        this.ending = true
        clock.afterTurn(() => this.endTurn())
      }
    }
    this.readAt = monotonic
  }

  private endTurn(): void {
    this.ending = false
    this.left = 0
    this.checks = 1
  }
}
