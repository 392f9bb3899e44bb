import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { createLimiter, fixedWindow, type Store } from '@spillway/core'
import { keyFor, type SharedLimit } from './limits.ts'
import type { DueRequest } from './schedule.ts'

export type Mode = 'hard' | 'soft'

/** How often a soft node settles with the store, in milliseconds. */
export const softIntervalMs = 100
/** Longer than any replay: a slow store shows as latency, and one that is gone stops the demo. */
const timeout = '5s'

/** What one node is to do in one mode. */
export interface Job {
  mode: Mode
  limits: SharedLimit[]
  window: string
  /** Sets the counts of this replay apart from those of any other on the same store. */
  run: string
  share: DueRequest[]
}

/** What one node saw of one limit. */
export interface Tally {
  offered: number
  /** How many requests were admitted under each key. */
  admitted: Map<string, number>
  /** Milliseconds from each call of `check` to its answer. */
  latencies: number[]
  storeCalls: number
  storeEntries: number
}

/** A node of the fleet, wherever it runs. */
export interface Node {
  /** Gets ready: once all nodes are, the replay can start. */
  prepare(job: Job): Promise<void>
  /** Replays the job's share, and answers with a tally for each of its limits. */
  replay(onServed: (requests: number) => void): Promise<Tally[]>
  close(): Promise<void>
}

/** How many served requests are reported together. */
const servedAtOnce = 50

/** A node in this process. It asks its limits over the store that it is given, and leaves that open. */
export class LocalNode implements Node {
  readonly #store: Store
  #job: Job | undefined
  #counters: Counter[] = []

  constructor(store: Store) {
    this.#store = store
  }

  async prepare(job: Job): Promise<void> {
    this.#job = job
    this.#counters = job.limits.map((limit) => new Counter(job, limit, this.#store))
    await Promise.all(this.#counters.map((counter) => counter.warmUp()))
  }

  async replay(onServed: (requests: number) => void): Promise<Tally[]> {
    const started = performance.now()
    const pending: Promise<void>[] = []
    let failure: { error: unknown } | undefined
    for (const [index, { due, client }] of this.#job!.share.entries()) {
      // Open loop: a request comes when it is due, whether or not the ones before it have been answered; and
      // each in a turn of the event loop of its own, as it would from a socket.
      const wait = started + due - performance.now()
      await (wait > 0 ? sleep(wait) : nextTurn())
      if (failure) break
      pending.push(
        this.#serve(client).catch((error) => {
          failure ??= { error }
        }),
      )
      if (index % servedAtOnce === servedAtOnce - 1) onServed(servedAtOnce)
    }
    await Promise.all(pending)
    if (failure) throw failure.error
    onServed(this.#job!.share.length % servedAtOnce)
    return Promise.all(this.#counters.map((counter) => counter.finish()))
  }

  async close(): Promise<void> {}

  async #serve(client: string): Promise<void> {
    for (const counter of this.#counters) await counter.check(client)
  }
}

/** One limit on one node, and the count of what it did. */
class Counter {
  readonly #shared: SharedLimit
  readonly #limiter
  readonly #admitted = new Map<string, number>()
  readonly #latencies: number[] = []
  #before = { storeCalls: 0, storeEntries: 0 }

  constructor({ mode, window, run }: Job, shared: SharedLimit, store: Store) {
    this.#shared = shared
    this.#limiter = createLimiter({
      name: `demo-${run}-${shared.per}`,
      limit: fixedWindow({ limit: shared.limit, window }),
      mode,
      store,
      timeout,
      onOutage: 'throw',
      ...(mode === 'soft' && { sync: { interval: softIntervalMs } }),
    })
  }

  /** Connects and loads the scripts, as a server has long done when a request comes. */
  async warmUp(): Promise<void> {
    await this.#limiter.check('warm-up')
    this.#before = this.#limiter.stats()
  }

  async check(client: string): Promise<void> {
    const key = keyFor(this.#shared, client)
    const asked = performance.now()
    const { allowed } = await this.#limiter.check(key)
    this.#latencies.push(performance.now() - asked)
    if (allowed) this.#admitted.set(key, (this.#admitted.get(key) ?? 0) + 1)
  }

  async finish(): Promise<Tally> {
    await this.#limiter.flush()
    const { storeCalls, storeEntries } = this.#limiter.stats()
    await this.#limiter.close()
    return {
      offered: this.#latencies.length,
      admitted: this.#admitted,
      latencies: this.#latencies,
      storeCalls: storeCalls - this.#before.storeCalls,
      storeEntries: storeEntries - this.#before.storeEntries,
    }
  }
}
