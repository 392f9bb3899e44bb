import fc from 'fast-check'
import { it } from 'vitest'
import { ALGORITHMS, histories, type Kind } from './history.ts'
import { live, PROPERTIES, type Property } from './properties.ts'
import { REGRESSIONS } from './regressions.ts'

/** `SPILLWAY_RUNS` multiplies the histories. */
const FACTOR = (fc.readConfigureGlobal().numRuns as number) / 100

/** Seeds, and the part of a property's share of the histories that is made of each. */
type Seeds = readonly (readonly [seed: number | undefined, part: number])[]

/** The same histories in each run, so that a run tells of the change and not of chance. */
const PINNED: Seeds = [
  [20261124, 1],
  [31, 1 / 5],
  [41, 1 / 5],
  [59, 1 / 5],
]

/**
 * Milliseconds after which what was found so far is told, with its seed: making it smaller can take longer than a test may. Both
 * are many times what all histories take where others use the machine too.
 */
const LONGEST = 240_000
const TIMEOUT = LONGEST + 60_000

const { SPILLWAY_SEED } = process.env

/** Others are tried by `SPILLWAY_SEED=random`, or any integer. */
function seeds(): Seeds {
  if (SPILLWAY_SEED === undefined) return PINNED
  return [[SPILLWAY_SEED === 'random' ? undefined : Number(SPILLWAY_SEED), 1]]
}

/** Of several limits there are so many fewer, and where there are more keys than fit in RAM. */
const FEWER = 6
const FEWEST = 36

/** Requires a property of its share of the histories, of each algorithm; a failure prints its seed and its history. */
export function prove(name: keyof typeof PROPERTIES): void {
  const property: Property = PROPERTIES[name]
  const proveFor = async (kind: Kind, share: number) => {
    const found = (REGRESSIONS[name] ?? []).filter(
      ({ history }) =>
        history.algorithm === kind.algorithm &&
        (history.several !== undefined) === kind.several &&
        (history.several?.crowd !== undefined) === (kind.claims !== undefined),
    )
    for (const [place, [seed, part]] of seeds().entries())
      await fc.assert(
        fc.asyncProperty(histories(kind), (history) => live(property, history)),
        {
          ...(seed === undefined ? {} : { seed }),
          numRuns: Math.ceil(share * part * FACTOR),
          interruptAfterTimeLimit: LONGEST,
          markInterruptAsFailure: true,
          examples: place === 0 ? found.map(({ history }) => [history]) : [],
        },
      )
  }
  it.each(ALGORITHMS)(
    `${property.name}: %s`,
    (algorithm) => proveFor({ ...property.kind, algorithm, several: false }, property.share),
    TIMEOUT,
  )
  it.each(ALGORITHMS)(
    `${property.name}: %s, and more limits`,
    (algorithm) => {
      const acts = [...property.kind.acts, ...property.more]
      return proveFor({ ...property.kind, algorithm, acts, several: true }, property.share / FEWER)
    },
    TIMEOUT,
  )
  it.each(ALGORITHMS)(
    `${property.name}: %s, and more keys than fit in RAM`,
    (algorithm) => {
      const acts = [...property.kind.acts, ...property.more]
      return proveFor(
        { ...property.kind, algorithm, acts, several: true, claims: property.claims },
        property.share / FEWEST,
      )
    },
    TIMEOUT,
  )
}
