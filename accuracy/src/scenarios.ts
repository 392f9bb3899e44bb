import type { NetworkConditions, Simulation } from '@spillway/core/testing'

/** A fleet, its limit, and the traffic it gets. Times are in milliseconds. */
export interface Scenario {
  readonly id: string
  readonly title: string
  readonly nodes: number
  readonly interval: number
  readonly window: number
  readonly limit: number
  /** Traffic, in limits per window. */
  readonly load: number
  /** The factor of the load at a time; time is in windows since the start. */
  readonly shape?: { readonly at: (windows: number) => number; readonly peak: number }
  /** Each node's share of the traffic; default equal ones. */
  readonly weights?: readonly number[]
  /** Which node gets a check; time is in windows since the start. */
  readonly route?: (windows: number, random: () => number) => number
  readonly network?: Partial<NetworkConditions>
  /** The most by which a node's wall clock is wrong. */
  readonly skew?: number
  /** What happens to the fleet. */
  readonly events?: (simulation: Simulation, window: number) => void
}

/** The network's round trip, in milliseconds, in scenarios that do not say otherwise. */
export const ROUND_TRIP = 1

function row(
  id: string,
  numbers: [nodes: number, interval: number, window: number, limit: number, load: number],
  more: Partial<Scenario> = {},
): Scenario {
  const [nodes, interval, window, limit, load] = numbers
  return { id, title: `row ${id}`, nodes, interval, window, limit, load, ...more }
}

const zipf = Array.from({ length: 16 }, (_, rank) => 1 / (rank + 1))

/** The accuracy grid of the design. */
export const grid: readonly Scenario[] = [
  row('1', [4, 100, 1000, 1000, 2]),
  row('2', [16, 100, 1000, 1000, 2]),
  row('3', [16, 1000, 10_000, 10_000, 2]),
  row('4', [16, 1000, 60_000, 6000, 3]),
  row('5', [64, 100, 1000, 5000, 10]),
  row('6', [16, 1000, 1000, 1000, 2]),
  row('7', [16, 100, 1000, 1000, 2], { weights: zipf }),
  row('8', [256, 1000, 60_000, 100_000, 2]),
]

const [, two, , , five, six] = grid as [Scenario, Scenario, Scenario, Scenario, Scenario, Scenario]

/** The part of the traffic that goes to a hot node. */
const HOT = 0.9

function hotNode(hot: number, nodes: number, random: () => number): number {
  return random() < HOT ? hot : Math.floor(random() * nodes)
}

/** Applies the same change to several rows of the grid. */
function on(rows: readonly Scenario[], id: string, title: string, change: Partial<Scenario>): Scenario[] {
  return rows.map((base) => ({
    ...base,
    ...change,
    id: `${id}-${base.id}`,
    title: `${title}, on row ${base.id}`,
  }))
}

/** Scenarios beyond the grid: measured, and written down as they come out. */
export const beyond: readonly Scenario[] = [
  ...[0.7, 0.9, 1.05].flatMap((load) => on([two, five], `load-${load}`, `load ${load}`, { load })),
  // Four idle windows, then one of 20 limits, which begins within a window of the store.
  ...on([two, six], 'flash', '20-fold flash after idle', {
    load: 20,
    shape: { at: (windows) => ((windows + 0.63) % 5 >= 4 ? 1 : 0), peak: 1 },
  }),
  ...on([two, six], 'bursts', 'bursts of 4 limits, on and off each quarter of a window', {
    load: 4,
    shape: { at: (windows) => (windows % 0.5 < 0.25 ? 1 : 0), peak: 1 },
  }),
  ...on([two, six], 'ramp', 'ramp from 0 to 4 limits', {
    load: 4,
    shape: { at: (windows) => Math.min(1, windows / 20), peak: 1 },
  }),
  ...on([two, six], 'one-hot', 'one node with 90 % of the traffic', {
    route: (_, random) => hotNode(0, 16, random),
  }),
  ...on([two, six], 'moving', 'a node with 90 % of the traffic, another one each 0.7 windows', {
    route: (windows, random) => hotNode(Math.floor(windows / 0.7) % 16, 16, random),
  }),
  ...on([two, five], 'slow', 'round trip 20 ms', { network: { latency: 10 } }),
  ...[0.9, 2].flatMap((load) =>
    on([two], `ten-${load}`, `limit 10 with 16 nodes, load ${load}`, { limit: 10, load }),
  ),
  ...on([two, six], 'dying', 'half of the nodes dying at once', {
    route: (windows, random) => Math.floor(random() * (windows < 10.3 ? 16 : 8)),
    events: (simulation, window) =>
      simulation.at(10.3 * window, () => {
        for (const node of simulation.nodes.slice(8)) node.crash()
      }),
  }),
  ...on([two, six], 'faults', 'losses, repeats and delays, clocks wrong by up to an hour', {
    network: {
      latency: (random) => 0.3 - 0.5 * Math.log(1 - random()),
      requestLoss: 0.005,
      replyLoss: 0.005,
      duplication: 0.01,
    },
    skew: 3_600_000,
  }),
]

/** Row 2 with other intervals, for the plot. */
export const intervals: readonly Scenario[] = [10, 20, 50, 100, 200, 500, 1000].map((interval) => ({
  ...two,
  ...{ id: `interval-${interval}`, title: `row 2 with an interval of ${interval} ms`, interval },
}))
