import { fixedWindow, type Mode } from '@spillway/core'
import { draws } from '../keys.ts'
import type { Contender, Question } from '../question.ts'
import { expectCounted } from '../simulated-counts.ts'
import { askedSoFar, FleetTraffic, simulatedFleet } from '../simulated-fleet.ts'
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

/** Every node's checks by Zipf's law. */
class ZipfTraffic extends FleetTraffic {
  constructor(private readonly order: Uint32Array) {
    super(KEYS, NODES, RATE)
  }

  protected choose(): number {
    return this.order[(this.made - 1) % this.order.length]!
  }
}

function contender(name: string, mode: Exclude<Mode, 'hard'>, intervalMs: number): Contender {
  return {
    name,
    run: async () => {
      const limit = fixedWindow({ limit: LIMIT, window: '1h' })
      const simulation = simulatedFleet(NODES, { limit, mode, maxKeys: KEYS, interval: intervalMs })
      /** Checks of one node in an interval. */
      const interval = (RATE / NODES) * (intervalMs / 1000)
      const traffic = new ZipfTraffic(draws('zipf', KEYS, (RATE * 4 * intervalMs) / 1000))
      await simulation.run(3 * intervalMs, traffic)
      const before = askedSoFar(simulation)
      await simulation.run(intervalMs, traffic)
      const after = askedSoFar(simulation)
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
