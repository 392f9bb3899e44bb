import { rendered } from './rendered.ts'

/** The mean overshoot of a variant at an interval, in per cent of the limit. */
export interface Point {
  /** Milliseconds. */
  readonly interval: number
  readonly variant: string
  readonly overshoot: number
}

/** The overshoot over the interval, a line for each variant, as SVG. */
export async function draw(points: readonly Point[]): Promise<string> {
  const order = [...new Set(points.map(({ variant }) => variant))]
  return rendered({
    width: 560,
    height: 280,
    background: 'white',
    data: { values: [...points] },
    mark: { type: 'line', point: true },
    encoding: {
      x: {
        field: 'interval',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: 'interval, ms', values: [...new Set(points.map(({ interval }) => interval))] },
      },
      y: {
        field: 'overshoot',
        type: 'quantitative',
        // So that 0 has its place beside 100 %.
        scale: { type: 'symlog', constant: 0.1 },
        axis: { title: 'mean overshoot, % of the limit', values: [0, 0.1, 1, 10, 100] },
      },
      color: { field: 'variant', type: 'nominal', sort: order, legend: { title: null } },
      shape: { field: 'variant', type: 'nominal', sort: order },
    },
  })
}
