import { setTimeout as delay } from 'node:timers/promises'
import type { Claim } from '../judge.ts'
import { type Counts, type Load, limiterName, type Target, type Track } from '../node/job.ts'
import { keysAt } from '../node/load.ts'
import type { NodeProcess } from '../node-process.ts'
import { strictBound } from '../tracks.ts'

/** Milliseconds from one look to the next. */
const EVERY = 500

/** What a soak watches, and the process that reads it. */
export interface Watched {
  readonly auditor: NodeProcess
  readonly target: Target
  readonly run: string
  readonly tracks: readonly Track[]
  readonly load: Load
}

/** Looks into the store while limiters run and break: a strict limit's count and bookings never pass its bound. */
export class Watch {
  private looks = 0
  private readonly above: string[] = []
  private readonly strict: readonly Track[]
  private running = true
  private readonly done: Promise<void>

  constructor(private readonly watched: Watched) {
    const longest = Math.max(...watched.tracks.map(({ window }) => window))
    // Only tracks of the longest window: in others, what a late node spent counts in the window before, as judged at
    // the end.
    this.strict = watched.tracks.filter(
      (track) => strictBound(track) !== undefined && track.window === longest,
    )
    this.done = this.watch()
  }

  /** Stops, and returns what was seen. */
  async end(): Promise<Claim> {
    this.running = false
    await this.done
    return {
      says: 'what is counted and booked of a strict limit is never above its bound, whenever it is looked at',
      // The server is up before a fault: without a look, nothing was watched.
      holds: this.looks > 0 && this.above.length === 0,
      detail: this.above.length === 0 ? `${this.looks} looks` : this.above.join(', '),
      counts: true,
    }
  }

  private async watch(): Promise<void> {
    while (this.running) {
      // A server that is away can't be looked at.
      const counts = await this.look().catch(() => undefined)
      if (counts !== undefined) this.hold(counts)
      await delay(EVERY)
    }
  }

  private look(): Promise<Counts> {
    const { auditor, target, run, load } = this.watched
    const now = Date.now()
    const keys = [now, now - load.hotFor].flatMap((time) => {
      const { steady, hot } = keysAt(load, time)
      return [...steady, hot]
    })
    const limiters = this.strict.map(({ label, window }) => ({
      name: limiterName(run, label),
      window,
      keys: [...new Set(keys)],
    }))
    return auditor.audit({ target, limiters })
  }

  private hold(counts: Counts): void {
    this.looks++
    for (const track of this.strict) {
      const bound = strictBound(track) as number
      for (const [key, { counted, booked }] of Object.entries(
        counts[limiterName(this.watched.run, track.label)] ?? {},
      ))
        if (counted + booked > bound)
          this.above.push(`${track.label} ${key}: ${counted} and ${booked} of ${bound}`)
    }
  }
}
