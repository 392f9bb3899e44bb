import { createLimiter, fixedWindow } from '@spillway/core'
import { Simulation, type Traffic } from '@spillway/core/testing'
import { draws, keyNames } from '../keys.ts'
import type { Contender, Question } from '../question.ts'
import { expectCounted } from '../simulated-counts.ts'

// What a fleet asks of Redis: 16 soft nodes, each with 20,000 checks a second over 500,000 keys by Zipf's law, simulated.

const NODES = 16
const RATE = 20_000
const KEYS = 500_000
/** No key comes near it, since keys at their limit are silent. */
const LIMIT = 2 ** 31 - 1
const ENTRIES = 'entries a check'
const CALLS = 'calls a check'
const COLD = 'entries a check, cold'

/** Every node's checks by Zipf's law, evenly spaced. Keys are drawn beforehand, so that time goes into the limiters. */
class ZipfTraffic implements Traffic {
  at = 0
  node = 0
  key = 'user:0'
  readonly cost = 1
  private made = 0
  private readonly order: Uint32Array
  readonly names: string[]
  /** How often each key was asked for. */
  readonly counts: Uint32Array
  private place = 0

  constructor(
    keys: number,
    private readonly rate: number,
  ) {
    this.order = draws('zipf', keys, 2 ** 22)
    this.names = keyNames(keys)
    this.counts = new Uint32Array(keys)
  }

  /** Called once the present check has been made. */
  next(): void {
    this.counts[this.place]!++
    this.made++
    this.at = (this.made * 1000) / this.rate
    this.node = this.made % NODES
    // Another stride each time around, so that no node meets the same keys in the same order again.
    const place = (this.made * (1 + 2 * Math.floor(this.made / this.order.length))) % this.order.length
    this.place = this.order[place]!
    this.key = this.names[this.place]!
  }
}

/** @param part of the keys and of the rate: their ratio stays the same, and so do the entries per check */
function contender(name: string, intervalMs: number, part: number): Contender {
  return {
    name,
    run: async ({ share }) => {
      const keys = KEYS * part * share
      const rate = NODES * RATE * part * share
      const limit = fixedWindow({ limit: LIMIT, window: '1h' })
      const simulation = new Simulation({ seed: 1 })
      for (let node = 0; node < NODES; node++) {
        simulation.addNode({
          waits: false,
          limiter: (surroundings) =>
            createLimiter({
              name: 'bench',
              limit,
              mode: 'soft',
              maxKeys: 2 * keys,
              sync: { interval: intervalMs },
              ...surroundings,
            }),
        })
      }
      const traffic = new ZipfTraffic(keys, rate)
      const sum = () => {
        let calls = 0
        let entries = 0
        let checks = 0
        for (const { limiter } of simulation.nodes) {
          const stats = limiter.stats()
          calls += stats.storeCalls
          entries += stats.storeEntries
          checks += stats.checks
        }
        return { calls, entries, checks }
      }
      // Keys that a node never saw cost about one read each: that part of the run is told apart.
      await simulation.run(2 * intervalMs, traffic)
      const cold = sum()
      await simulation.run(intervalMs, traffic)
      const warm = sum()
      await expectCounted(simulation, limit, traffic.names, traffic.counts)
      const checks = warm.checks - cold.checks
      return {
        [ENTRIES]: (warm.entries - cold.entries) / checks,
        [CALLS]: (warm.calls - cold.calls) / checks,
        [COLD]: cold.entries / cold.checks,
      }
    },
  }
}

const SECOND = 'soft, settles every second'
const TEN_MINUTES = 'soft, settles every 10 minutes'

export const fleet: Question = {
  name: 'fleet',
  title: 'A fleet of 16 nodes, simulated',
  rounds: 1,
  cases: [
    {
      name: 'soft, Zipf over 500k keys, 16 nodes, 20k checks a second each',
      contenders: [
        contender(SECOND, 1000, 0.2),
        contender('soft, settles every 10 seconds', 10_000, 0.1),
        contender('soft, settles every minute', 60_000, 0.1),
        contender(TEN_MINUTES, 600_000, 0.02),
      ],
      targets: [
        { measure: ENTRIES, ours: TEN_MINUTES, atMost: 0.05 },
        { measure: CALLS, ours: TEN_MINUTES, atMost: 0.005 },
        { measure: ENTRIES, ours: SECOND, atMost: 0.05 },
        { measure: CALLS, ours: SECOND, atMost: 0.005 },
      ],
    },
  ],
}
