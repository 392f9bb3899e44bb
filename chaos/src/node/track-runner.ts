import type { Store } from '@spillway/core'
import {
  type Clock,
  createLimiter,
  type Decision,
  fixedWindow,
  type LimiterOf,
  type LimiterOptions,
  type Mode,
} from '@spillway/core'
import type { EventLoop } from './event-loop.ts'
import {
  isShort,
  type Job,
  type KeyTally,
  limiterName,
  type Phase,
  type PhaseTally,
  type Staleness,
  type Track,
  type TrackTally,
} from './job.ts'

interface Synchronous {
  checkSync(key: string, options: { cost: number }): Decision
}

function emptyPhase(): PhaseTally {
  return {
    ...{ checks: 0, admitted: 0, admittedInOutage: 0, denied: {}, thrown: {} },
    ...{ storeCalls: 0, unanswered: 0, longest: 0 },
  }
}

/** One limiter of a node, and the record of all it answered. */
export class TrackRunner {
  readonly tally: TrackTally
  private readonly limiter: LimiterOf<Mode>
  private readonly offers = new Map<string, number[]>()
  private readonly costs = new Map<string, number>()
  /** By key: when the last settlement that was answered had been sent. */
  private readonly sent = new Map<string, number>()
  /** By key and window. Never cleared, since the store acknowledges again what it had of a window that goes on. */
  private readonly acknowledged = new Map<string, number>()
  private phase: Phase = 'before'
  private callsAtPhase = 0
  private turn = 0
  private expiredBefore = 0
  private uncertainBefore = 0

  constructor(
    private readonly track: Track,
    private readonly job: Job,
    private readonly store: Store,
    private readonly loop: EventLoop,
    private readonly clock: Clock,
  ) {
    this.tally = {
      ...{ label: track.label, keys: {}, longest: 0, longestExcess: -Infinity, open: 0, mostOpen: 0 },
      ...{ degraded: 0, recovered: 0, pending: 0, expired: 0, uncertain: 0, isDegraded: false, held: 0 },
      ...{ storeCalls: 0, storeEntries: 0, staleness: {}, acknowledged: 0, windows: {} },
      phases: { before: emptyPhase(), during: emptyPhase(), after: emptyPhase() },
    }
    const { mode, maxOvershoot, onOutage, limit, window } = track
    this.limiter = createLimiter({
      ...{ name: limiterName(job.run, track.label), mode, onOutage, clock, store: this.watched() },
      limit: fixedWindow({ limit, window }),
      timeout: job.timeout,
      ...(mode === 'hard' ? {} : { sync: { interval: job.interval, ...(maxOvershoot && { maxOvershoot }) } }),
    } as LimiterOptions)
    this.limiter.on('degraded', () => this.tally.degraded++)
    this.limiter.on('recovered', () => this.tally.recovered++)
  }

  /** The store, watched for each key's staleness: the time from a settlement being sent to the next one's reply. */
  private watched(): Store {
    const { shards } = this.store
    return {
      ...(shards === undefined ? {} : { shards }),
      open: (...call) => {
        const table = this.store.open(...call)
        return {
          ...(table.place === undefined ? {} : { place: table.place }),
          get known() {
            return table.known
          },
          now: () => table.now(),
          latest: () => table.latest(),
          exchange: async (request) => {
            const sent = performance.now()
            const phase = this.tally.phases[this.phase]
            phase.unanswered++
            const reply = await table.exchange(request)
            // A later answer comes from a store that hung.
            if (this.clock.monotonic() <= (request.until ?? Infinity)) phase.unanswered--
            for (const [place, operation] of request.operations.entries()) {
              const [name, key] = operation
              if (name === 'settle' || name === 'raise' || name === 'read') this.answered(key, sent)
              if (operation[0] !== 'raise' || reply.results[place] !== undefined) continue
              const [, , slice, admitted] = operation
              this.acknowledge({ key, slice, admitted })
            }
            for (const result of [...reply.results, ...reply.changed])
              if (result !== undefined) this.acknowledge(result)
            return reply
          },
        }
      },
      close: () => this.store.close(),
    }
  }

  /** @param sent when the request that is now answered was sent, in monotonic time */
  private answered(key: string, sent: number): void {
    // Before the first answer, what was offered is unknown from the first offer on.
    this.unheard(key, this.sent.get(key) ?? this.offers.get(key)?.[0] ?? sent)
    this.sent.set(key, sent)
  }

  private unheard(key: string, since: number): void {
    const { staleness } = this.tally
    staleness[key] = Math.max(staleness[key] ?? 0, performance.now() - since)
  }

  private acknowledge(result: object): void {
    if (!('slice' in result)) return
    const { key, slice, admitted } = result as { key: string; slice: number; admitted: number }
    const place = `${key} ${slice}`
    const had = this.acknowledged.get(place) ?? 0
    if (admitted <= had) return
    this.acknowledged.set(place, admitted)
    this.tally.acknowledged += admitted - had
  }

  private key(key: string): KeyTally {
    this.tally.keys[key] ??= { offered: 0, counted: 0, outage: 0, most: 0 }
    return this.tally.keys[key]
  }

  /** Notes what is about to be offered, so that the journal says so first. */
  announce(key: string, cost: number): void {
    this.key(key).offered += cost
  }

  offer(key: string, cost: number): void {
    const { loop, tally } = this
    // Read first: a process held up between the two is late, without any check taking longer.
    const late = loop.lateness()
    const started = performance.now()
    const window = this.windowNow()
    let offers = this.offers.get(key)
    if (offers === undefined) {
      offers = []
      this.offers.set(key, offers)
      this.costs.set(key, cost)
    }
    offers.push(started)
    tally.phases[this.phase].checks++
    tally.open++
    tally.mostOpen = Math.max(tally.mostOpen, tally.open)
    const ended = () => {
      const took = performance.now() - started
      tally.open--
      tally.longest = Math.max(tally.longest, took)
      tally.phases[this.phase].longest = Math.max(tally.phases[this.phase].longest, took)
      tally.longestExcess = Math.max(tally.longestExcess, took - this.job.timeout - (loop.lateness() - late))
    }
    const failed = (error: unknown) => {
      ended()
      const { thrown } = tally.phases[this.phase]
      const code = String((error as { code?: string }).code ?? error)
      thrown[code] = (thrown[code] ?? 0) + 1
    }
    const decided = (decision: Decision) => {
      ended()
      this.decided(this.key(key), cost, decision)
      const isAdmitted = decision.allowed && decision.source !== 'outage'
      if (window !== undefined && isAdmitted && window === this.windowNow()) {
        const place = `${key} ${window}`
        tally.windows[place] = (tally.windows[place] ?? 0) + cost
      }
    }
    // If the limiter has `checkSync`, every fourth check is asked that way.
    if ('checkSync' in this.limiter && this.turn++ % 4 === 0) {
      try {
        decided((this.limiter as unknown as Synchronous).checkSync(key, { cost }))
      } catch (error) {
        failed(error)
      }
      return
    }
    this.limiter.check(key, { cost }).then(decided, failed)
  }

  private windowNow(): number | undefined {
    return isShort(this.track) ? Math.floor(Date.now() / this.track.window) : undefined
  }

  private decided(key: KeyTally, cost: number, decision: Decision): void {
    const phase = this.tally.phases[this.phase]
    if (!decision.allowed) {
      const reason = decision.reason as 'limit'
      phase.denied[reason] = (phase.denied[reason] ?? 0) + 1
    } else if (decision.source === 'outage') {
      phase.admittedInOutage++
      key.outage += cost
    } else {
      phase.admitted++
      key.counted += cost
    }
  }

  enter(phase: Phase): void {
    this.refresh()
    // Events from here on are due to the fault.
    if (phase === 'during') {
      this.tally.degraded = this.tally.isDegraded ? 1 : 0
      this.tally.recovered = 0
    }
    this.phase = phase
    this.callsAtPhase = this.tally.storeCalls
  }

  /** Brings the record up to date with `stats()`. */
  refresh(): void {
    const { tally } = this
    const stats = this.limiter.stats()
    tally.pending = stats.pending
    tally.expired = stats.expired - this.expiredBefore
    tally.uncertain = stats.uncertain - this.uncertainBefore
    tally.isDegraded = stats.degraded
    // A hard limiter notices that a server is back only when it asks, and each key may be on another server.
    if (stats.degraded && this.phase !== 'during') {
      const keys = Object.keys(tally.keys)
      this.limiter.peek(keys[this.turn++ % keys.length] as string).catch(() => {})
    }
    tally.held = stats.keys
    tally.storeCalls = stats.storeCalls
    tally.storeEntries = stats.storeEntries
    tally.phases[this.phase].storeCalls = stats.storeCalls - this.callsAtPhase
  }

  /** Begins the record anew. */
  clear(): void {
    const { tally } = this
    this.expiredBefore += tally.expired
    this.uncertainBefore += tally.uncertain
    this.offers.clear()
    this.costs.clear()
    tally.keys = {}
    tally.phases = { before: emptyPhase(), during: emptyPhase(), after: emptyPhase() }
    tally.acknowledged = 0
    tally.windows = {}
    tally.longest = 0
    tally.longestExcess = -Infinity
    tally.mostOpen = 0
    tally.staleness = {}
    this.sent.clear()
    this.refresh()
  }

  flush(): Promise<void> {
    return this.limiter.flush()
  }

  async close(): Promise<void> {
    await this.limiter.close()
    this.refresh()
  }

  /** Notes for each key the most cost offered within its staleness: a term of soft mode's bound. */
  measureOffers(staleness: Staleness): void {
    for (const [key, times] of this.offers) {
      // A key that no node had a reply for: all that was offered counts.
      const stretch = staleness[key] ?? Infinity
      let most = 0
      for (let first = 0, last = 0; last < times.length; last++) {
        while ((times[last] as number) - (times[first] as number) > stretch) first++
        most = Math.max(most, last - first + 1)
      }
      this.key(key).most = most * (this.costs.get(key) as number)
    }
  }
}
