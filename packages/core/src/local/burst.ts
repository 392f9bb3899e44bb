import type { Clock } from '../clock.ts'

/**
 * How many checks of a burst share a reading, and how many milliseconds apart they come at most: less than any request
 * takes, since only another turn of the event loop tells that a turn has ended, and that costs more than a reading. Over
 * several shards a reading may have served one check when the next one is made: then they may be 16 times as far apart.
 */
const BURST = 16
const APART = 0.003

/** What reads a time for checks to share. */
interface Reader {
  /** Whether `endTurn` will be called. */
  ending: boolean
  endTurn(): void
}

/**
 * Tells which checks of a limit come in a burst (decision 0028). One for all of its shards: each has a time of its own,
 * but of checks that come close to each other, few in a row are of the same shard.
 */
export class Burst {
  private readAt = -Infinity
  /** How many checks the last reading was made for. */
  private checks = 1
  /** The first `endings` are told when the turn ends; the list keeps its room for other turns. */
  private readonly readers: Reader[] = []
  private endings = 0

  constructor(private readonly clock: Clock) {}

  /** How many checks may share the reading that is made now; if more than one, until the turn ends. */
  sharers(reader: Reader): number {
    const { clock } = this
    if (clock.afterTurn === undefined) return 1
    const monotonic = clock.monotonic()
    this.checks = monotonic - this.readAt < APART * this.checks ? BURST : 1
    this.readAt = monotonic
    if (this.checks > 1 && !reader.ending) {
      reader.ending = true
      this.readers[this.endings++] = reader
      if (this.endings === 1) clock.afterTurn(this.endTurn)
    }
    return this.checks
  }

  /** Made once: a burst needs no function of its own. */
  private readonly endTurn = (): void => {
    for (let place = 0; place < this.endings; place++) {
      const reader = this.readers[place] as Reader
      reader.ending = false
      reader.endTurn()
    }
    this.endings = 0
    this.checks = 1
  }
}
