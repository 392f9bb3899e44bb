import { createLimiter, fixedWindow, type Mode } from '@spillway/core'
import { Simulation, type Traffic } from '@spillway/core/testing'
import { draws, keyNames } from '../keys.ts'
import type { Contender, Question } from '../question.ts'
import { expectCounted } from '../simulated-counts.ts'
import { entriesOfCheck } from '../zipf.ts'

// Whether a thousand limiters, simulated, ask of their store what `docs/scaling.md` computes for a thousand nodes.

const NODES = 1000
/** Checks a second of all nodes: like the keys, a 250th of the plan's. */
const RATE = 20_000
const KEYS = 40_000
/** No key comes near it, since keys at their limit are silent. */
const LIMIT = 1_000_000_000
const ENTRIES = 'entries a check'
const RECKONED = 'entries a check, reckoned'
const CALLS = 'calls a second and node'

/** Checks by Zipf's law, evenly spaced, the nodes in turn. */
class ZipfTraffic implements Traffic {
  at = 0
  node = 0
  key = 'user:0'
  readonly cost = 1
  readonly names = keyNames(KEYS)
  /** How often each key was asked for. */
  readonly counts = new Uint32Array(KEYS)
  private made = 0
  private place = 0

  constructor(private readonly order: Uint32Array) {}

  /** Called once the present check has been made. */
  next(): void {
    this.counts[this.place]!++
    this.place = this.order[this.made % this.order.length]!
    this.key = this.names[this.place]!
    this.made++
    this.at = (this.made * 1000) / RATE
    this.node = this.made % NODES
  }
}

function contender(name: string, mode: Exclude<Mode, 'hard'>, intervalMs: number): Contender {
  return {
    name,
    run: async () => {
      const limit = fixedWindow({ limit: LIMIT, window: '1h' })
      const simulation = new Simulation({ seed: 1 })
      for (let node = 0; node < NODES; node++) {
        simulation.addNode({
          waits: false,
          limiter: (surroundings) =>
            createLimiter({
              name: 'bench',
              limit,
              mode,
              maxKeys: KEYS,
              sync: { interval: intervalMs },
              ...surroundings,
            }),
        })
      }
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
      /** Checks of one node in an interval. */
      const interval = (RATE / NODES) * (intervalMs / 1000)
      const traffic = new ZipfTraffic(draws('zipf', KEYS, (RATE * 4 * intervalMs) / 1000))
      await simulation.run(3 * intervalMs, traffic)
      const before = sum()
      await simulation.run(intervalMs, traffic)
      const after = sum()
      await expectCounted(simulation, limit, traffic.names, traffic.counts)
      return {
        [ENTRIES]: (after.entries - before.entries) / (after.checks - before.checks),
        [RECKONED]: entriesOfCheck(KEYS, 3 * interval, interval),
        [CALLS]: (after.calls - before.calls) / NODES / (intervalMs / 1000),
      }
    },
  }
}

export const thousandNodes: Question = {
  name: 'thousand-nodes',
  title: 'A thousand nodes, simulated',
  rounds: 1,
  cases: [
    {
      name: '1,000 nodes, 20 checks a second each, Zipf over 40k keys',
      contenders: [
        contender('soft, interval 1 s', 'soft', 1000),
        contender('soft, interval 10 s', 'soft', 10_000),
        contender('leased, interval 10 s', 'leased', 10_000),
      ],
      targets: [],
    },
  ],
}
