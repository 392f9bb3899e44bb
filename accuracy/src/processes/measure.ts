import { createLimiter, fixedWindow } from '@spillway/core'
import { PoissonTraffic, Simulation, seededRandom } from '@spillway/core/testing'
import { startRedis } from '@spillway/redis-server'
import { limiterOptions, type VariantName, variants } from '../variants.ts'
import { Fleet, softBound } from './fleet.ts'

const LIMIT = 1000
/** Milliseconds between flushes. */
const INTERVAL = 100
/** Checks a second of all nodes together. */
const RATE = 2000
/** Milliseconds for which checks are offered: in all, twice the limit. */
const TIME = 1000
const ROUNDS = 5

const VARIANTS: readonly VariantName[] = ['soft', 'capped', 'leased', 'hard']

/** The result of all rounds of a variant. In each, all limiters begin at once on a key that nobody knows. */
export interface ProcessesResult {
  readonly processes: number
  readonly variant: VariantName
  readonly rounds: number
  /** As measured, in parts of the limit. */
  readonly overshoot: { readonly mean: number; readonly max: number }
  /** As simulated: there, no process waits for a processor. */
  readonly simulated: { readonly mean: number; readonly max: number }
  /** The smallest bound of any round, above the limit and in parts of it. */
  readonly bound: number
  /** Rounds that passed their own bound. */
  readonly broken: number
  readonly used: number
  /** By how much the store's counts differ from what was admitted, in all rounds. */
  readonly miscounted: number
}

/** Runs fleets of real processes over a Redis of their own, and the same in the simulator. */
export async function measureProcesses(sizes: readonly number[]): Promise<ProcessesResult[]> {
  const redis = await startRedis()
  const results: ProcessesResult[] = []
  try {
    for (const size of sizes) {
      const fleet = new Fleet(redis.url, size)
      try {
        await fleet.ready()
        for (const variant of VARIANTS) results.push(await measureVariant(fleet, size, variant))
      } finally {
        fleet.end()
      }
    }
  } finally {
    await redis.stop()
  }
  return results
}

async function measureVariant(fleet: Fleet, size: number, variant: VariantName): Promise<ProcessesResult> {
  const overs: number[] = []
  const bounds: number[] = []
  const simulated: number[] = []
  let used = 0
  let miscounted = 0
  for (let round = 0; round < ROUNDS; round++) {
    const name = `${size}-${variant}-${round}`
    const turns = [{ variant, key: 'key', checks: (RATE * TIME) / 1000 / size, rate: RATE / size }]
    const reports = await fleet.follow(() => ({ name, limit: LIMIT, interval: INTERVAL, turns }))
    const nodes = reports.map(({ turns: [turn] }) => turn as { admitted: number; most: number })
    const admitted = nodes.reduce((sum, node) => sum + node.admitted, 0)
    miscounted += Math.abs((await fleet.counted(name, 'key')) - admitted)
    overs.push(Math.max(0, admitted - LIMIT) / LIMIT)
    used += Math.min(admitted, LIMIT) / LIMIT / ROUNDS
    bounds.push(boundOf(variant, nodes))
    simulated.push(await simulate(size, variant, round))
  }
  return {
    ...{ processes: size, variant, rounds: ROUNDS, used, miscounted },
    ...{ overshoot: meanAndMax(overs), simulated: meanAndMax(simulated), bound: Math.min(...bounds) },
    broken: overs.filter((over, round) => over > (bounds[round] as number)).length,
  }
}

function boundOf(variant: VariantName, nodes: readonly { most: number }[]): number {
  if (variant === 'soft')
    return (
      softBound(
        LIMIT,
        nodes.map(({ most }) => most),
      ) /
        LIMIT -
      1
    )
  return variant === 'capped' ? 0.05 : 0
}

async function simulate(size: number, variant: VariantName, seed: number): Promise<number> {
  const limit = fixedWindow({ limit: LIMIT, window: '365d' })
  const simulation = new Simulation({ seed, network: { latency: 0.2 } })
  for (let node = 0; node < size; node++)
    simulation.addNode({
      limiter: (surroundings) =>
        createLimiter({
          name: 'processes',
          limit,
          maxKeys: 64,
          ...limiterOptions(variant, INTERVAL),
          ...surroundings,
        }),
      waits: variants[variant].waits,
    })
  const random = seededRandom(seed, size)
  await simulation.run(TIME, new PoissonTraffic({ random, rate: RATE, peak: RATE, nodes: size }))
  const admitted = simulation.nodes.reduce((sum, node) => sum + node.limiter.stats().admitted, 0)
  return Math.max(0, admitted - LIMIT) / LIMIT
}

function meanAndMax(values: readonly number[]): { mean: number; max: number } {
  return { mean: values.reduce((sum, value) => sum + value, 0) / values.length, max: Math.max(...values) }
}
