import { type AlgorithmName, algorithmNames } from './algorithms.ts'
import type { Options } from './arguments.ts'
import { type Job, scenarioOf } from './measure.ts'
import { beyond, grid } from './scenarios.ts'
import { type VariantName, variantNames, variants } from './variants.ts'

/** Rows of the grid that run with every algorithm; all else runs with the fixed window. */
const EVERY_ALGORITHM = ['2', '6']

/** The runs that were asked for. */
export function jobsFor(options: Options): Job[] {
  const rows = options.rows.length > 0 ? options.rows : [...grid, ...beyond].map(({ id }) => id)
  return rows.flatMap((scenario) =>
    algorithmsFor(scenario, options).flatMap((algorithm) =>
      variantsFor(options).flatMap((variant) =>
        Array.from({ length: options.seeds }, (_, place) => ({
          ...{ scenario, algorithm, variant },
          ...{ seed: place + 1, windows: options.windows },
        })),
      ),
    ),
  )
}

function algorithmsFor(scenario: string, options: Options): AlgorithmName[] {
  if (options.algorithms.length > 0) return options.algorithms as AlgorithmName[]
  return EVERY_ALGORITHM.includes(scenario) ? algorithmNames : ['fixed-window']
}

export function variantsFor(options: Options): VariantName[] {
  if (options.variants.length > 0) return options.variants as VariantName[]
  return variantNames.filter((name) => variants[name].standard)
}

/** About how many checks a run makes. */
export function size(job: Job): number {
  const { limit, load } = scenarioOf(job)
  return limit * load * job.windows
}
