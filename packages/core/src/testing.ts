export { type FaultyStore, type FaultyStoreOptions, faultyStore } from './testing/faulty-store.ts'
export { ManualClock } from './testing/manual-clock.ts'
export type { NetworkConditions } from './testing/network.ts'
export type { Report } from './testing/report.ts'
export { seededRandom } from './testing/seeded-random.ts'
export type { Skew } from './testing/simulated-clock.ts'
export type { SimulatedServer } from './testing/simulated-server.ts'
export {
  type NodeOptions,
  type SimulatedNode,
  Simulation,
  type SimulationOptions,
  type Surroundings,
} from './testing/simulation.ts'
export { type PoissonOptions, PoissonTraffic, type Traffic } from './testing/traffic.ts'
