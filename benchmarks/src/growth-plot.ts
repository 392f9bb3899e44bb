// Drawn by the code that draws the accuracy pages.
import { drawPanels } from '../../accuracy/src/plot/panels.ts'
import { panels } from './questions/growth.ts'
import { medianOf, type Result } from './result.ts'
import { CPU } from './warm-checks.ts'

/** The cost of a check over the keys, the nodes and the limits, as SVG. */
export function growthPlot({ cases }: Result): Promise<string> {
  return drawPanels(
    panels.map((panel) => {
      const rounds = cases.find(({ name }) => name === panel.name)?.rounds ?? {}
      const points = panel.contenders.map(({ line, at, name }) => {
        return { line, at, value: medianOf(rounds[name], CPU) }
      })
      return { axis: panel.axis, measure: CPU, points }
    }),
  )
}
