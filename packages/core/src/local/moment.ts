import { Slices } from '../algorithms/slices.ts'
import type { Clock } from '../clock.ts'
import type { Table } from '../store/store.ts'

/**
 * Checks that share a reading, of a burst whose checks come at most so many milliseconds apart: less than any request
 * takes, since the end of a turn is heard of only by another turn of the event loop, which costs more than a reading.
 */
const BURST = 16
const APART = 0.003

/** The store's time as the short ways go by it: a reading costs as much as a decision, and a burst shares one. */
export class Moment {
  /** No number at first, so that it stays an object of its own: handed on, it takes no room on the heap anew. */
  now = undefined as unknown as number
  /** In which that is. */
  slice = -Infinity
  private readonly slices: Slices
  private readAt = -Infinity
  /** For how many checks yet. */
  private left = 0
  /** For how many it was read. */
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

  /** A check comes: what is read here is of now, or of an earlier check in this turn of the event loop. */
  look(): void {
    if (this.left > 0) this.left--
    else this.read()
  }

  /** The next check shares no reading with those before it. */
  renew(): void {
    this.left = 0
  }

  /** Whether what was looked at was read for an earlier check. */
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
    // The first time that is known may be hours from the one that was guessed.
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
