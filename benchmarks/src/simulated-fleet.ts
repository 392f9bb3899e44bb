import { createLimiter, type Limit, type Mode } from '@spillway/core'
import { Simulation, type Traffic } from '@spillway/core/testing'
import { keyNames } from './keys.ts'

/** Checks evenly spaced, the nodes in turn. */
export abstract class FleetTraffic implements Traffic {
  at = 0
  node = 0
  key = 'user:0'
  readonly cost = 1
  readonly names: readonly string[]
  /** How often each key was asked for. */
  readonly counts: Uint32Array
  protected made = 0
  private place = 0

  /** @param rate checks a second of all nodes */
  constructor(
    keys: number,
    private readonly nodes: number,
    private readonly rate: number,
  ) {
    this.names = keyNames(keys)
    this.counts = new Uint32Array(keys)
  }

  /** Chooses the key of the check after those that were made. */
  protected abstract choose(): number

  /** Called once the present check has been made. */
  next(): void {
    this.counts[this.place]!++
    this.made++
    this.at = (this.made * 1000) / this.rate
    this.node = this.made % this.nodes
    this.place = this.choose()
    this.key = this.names[this.place]!
  }
}

/** Nodes that answer at once, and settle at this interval. */
export function simulatedFleet(
  nodes: number,
  its: { limit: Limit; mode: Exclude<Mode, 'hard'>; maxKeys: number; interval: number },
): Simulation {
  const { interval, ...options } = its
  const simulation = new Simulation({ seed: 1 })
  for (let node = 0; node < nodes; node++) {
    simulation.addNode({
      waits: false,
      limiter: (surroundings) =>
        createLimiter({ name: 'bench', ...options, sync: { interval }, ...surroundings }),
    })
  }
  return simulation
}

/** What the nodes were asked, and asked of their store, so far. */
export function askedSoFar(simulation: Simulation): { calls: number; entries: number; checks: number } {
  const sum = { calls: 0, entries: 0, checks: 0 }
  for (const { limiter } of simulation.nodes) {
    const { storeCalls, storeEntries, checks } = limiter.stats()
    sum.calls += storeCalls
    sum.entries += storeEntries
    sum.checks += checks
  }
  return sum
}
