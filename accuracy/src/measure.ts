import { createLimiter } from '@spillway/core'
import { PoissonTraffic, type Report, Simulation, seededRandom } from '@spillway/core/testing'
import { type AlgorithmName, algorithms } from './algorithms.ts'
import { beyond, grid, intervals, ROUND_TRIP, type Scenario } from './scenarios.ts'
import { limiterOptions, type VariantName, variants } from './variants.ts'

/** One run: a scenario with an algorithm, in a variant, with the random numbers of a seed. */
export interface Job {
  readonly scenario: string
  readonly algorithm: AlgorithmName
  readonly variant: VariantName
  readonly seed: number
  readonly windows: number
}

/** The result of a run. */
export interface Measurement {
  readonly job: Job
  readonly report: Report
  /** The CPU time it took. */
  readonly seconds: number
}

/** Streams of random numbers that belong to no node. */
const TRAFFIC = 1_000_001
const SKEW = 1_000_002

/** Room for the one key and little more: it is set aside when each node is made. */
const MOST_KEYS = 64

const scenarios = new Map([...grid, ...beyond, ...intervals].map((scenario) => [scenario.id, scenario]))

export function scenarioOf(job: Pick<Job, 'scenario'>): Scenario {
  return scenarios.get(job.scenario) as Scenario
}

/** The mean round trip to the store, in milliseconds; for a distribution, that of the other scenarios. */
export function roundTrip({ network }: Scenario): number {
  return typeof network?.latency === 'number' ? 2 * network.latency : ROUND_TRIP
}

export async function measure(job: Job): Promise<Measurement> {
  const began = process.cpuUsage()
  const scenario = scenarioOf(job)
  const { window, nodes, interval, skew = 0 } = scenario
  const limit = algorithms[job.algorithm](scenario)
  const simulation = new Simulation({
    seed: job.seed,
    network: { latency: ROUND_TRIP / 2, ...scenario.network },
  })
  const random = seededRandom(job.seed, SKEW)
  for (let node = 0; node < nodes; node++) {
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({
          ...{ name: 'accuracy', limit, maxKeys: MOST_KEYS, ...limiterOptions(job.variant, interval) },
          ...surroundings,
        }),
      waits: variants[job.variant].waits,
      skew: { wall: skew * (2 * random() - 1) },
    })
  }
  scenario.events?.(simulation, window)
  await simulation.run(job.windows * window, traffic(scenario, job.seed))
  const report = simulation.report(limit)
  const { user, system } = process.cpuUsage(began)
  return { job, report, seconds: (user + system) / 1e6 }
}

function traffic(scenario: Scenario, seed: number): PoissonTraffic {
  const { window, limit, load, shape, weights, route, nodes } = scenario
  const rate = (load * limit * 1000) / window
  return new PoissonTraffic({
    random: seededRandom(seed, TRAFFIC),
    rate: shape === undefined ? rate : (time) => rate * shape.at(time / window),
    peak: rate * (shape?.peak ?? 1),
    nodes: route === undefined ? (weights ?? nodes) : (time, random) => route(time / window, random),
  })
}
