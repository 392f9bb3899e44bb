import { rendered } from './rendered.ts'

export interface Point {
  readonly line: string
  readonly at: number
  readonly value: number
}

/** Lines over one axis. */
export interface Panel {
  readonly axis: string
  readonly measure: string
  readonly points: readonly Point[]
}

/** Panels side by side, as SVG; the measure begins at 0. */
export function drawPanels(panels: readonly Panel[]): Promise<string> {
  return rendered({
    background: 'white',
    hconcat: panels.map(({ axis, measure, points }) => {
      const values = [...new Set(points.map(({ at }) => at))]
      // Linear for values that grow by adding, logarithmic for others.
      const isEven = values.at(-1) === values.length
      return {
        width: 220,
        height: 220,
        data: { values: [...points] },
        mark: { type: 'line', point: true },
        encoding: {
          x: {
            field: 'at',
            type: 'quantitative',
            scale: { type: isEven ? 'linear' : 'log' },
            axis: { title: axis, values, format: '~s' },
          },
          y: { field: 'value', type: 'quantitative', scale: { zero: true }, axis: { title: measure } },
          color: { field: 'line', type: 'nominal', legend: { title: null, orient: 'bottom' } },
        },
      }
    }),
  })
}
