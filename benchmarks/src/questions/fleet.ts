import { fixedWindow } from '@spillway/core'
import { draws } from '../keys.ts'
import type { Contender, Question } from '../question.ts'
import { expectCounted } from '../simulated-counts.ts'
import { askedSoFar, FleetTraffic, simulatedFleet } from '../simulated-fleet.ts'

// What a fleet asks of Redis: 16 soft nodes, each with 20,000 checks a second over 500,000 keys by Zipf's law, simulated.

const NODES = 16
const RATE = 20_000
const KEYS = 500_000
/** No key comes near it, since keys at their limit are silent. */
const LIMIT = 2 ** 31 - 1
const ENTRIES = 'entries a check'
const CALLS = 'calls a check'
const COLD = 'entries a check, cold'

/** Every node's checks by Zipf's law. Keys are drawn beforehand, so that time goes into the limiters. */
class ZipfTraffic extends FleetTraffic {
  private readonly order: Uint32Array

  constructor(keys: number, rate: number) {
    super(keys, NODES, rate)
    this.order = draws('zipf', keys, 2 ** 22)
  }

  protected choose(): number {
    const { made, order } = this
    // Another stride each time around, so that no node meets the same keys in the same order again.
    return order[(made * (1 + 2 * Math.floor(made / order.length))) % order.length]!
  }
}

/**
 * @param part of the keys and of the rate. A smaller part asks for a little more entries per check, since Zipf's law is
 *   flatter over fewer keys, and far more calls: fewer checks that wait travel together
 */
function contender(name: string, intervalMs: number, part: number): Contender {
  return {
    name,
    run: async ({ share }) => {
      const keys = KEYS * part * share
      const rate = NODES * RATE * part * share
      const limit = fixedWindow({ limit: LIMIT, window: '1h' })
      const simulation = simulatedFleet(NODES, {
        limit,
        mode: 'soft',
        maxKeys: 2 * keys,
        interval: intervalMs,
      })
      const traffic = new ZipfTraffic(keys, rate)
      // Keys that a node never saw cost about one read each: that part of the run is told apart.
      await simulation.run(2 * intervalMs, traffic)
      const cold = askedSoFar(simulation)
      await simulation.run(intervalMs, traffic)
      const warm = askedSoFar(simulation)
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
const TEN_MINUTES = 'soft, settles every 10 minutes, a 50th of keys and checks'

export const fleet: Question = {
  name: 'fleet',
  title: 'A fleet of 16 nodes, simulated',
  rounds: 1,
  cases: [
    {
      name: 'soft, Zipf over 500k keys, 16 nodes, 20k checks a second each',
      contenders: [
        contender(SECOND, 1000, 1),
        contender('soft, settles every 10 seconds, a tenth of keys and checks', 10_000, 0.1),
        contender('soft, settles every minute, a tenth of keys and checks', 60_000, 0.1),
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
