import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

/** A plot as SVG. */
export async function rendered(plot: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(plot).spec), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}
