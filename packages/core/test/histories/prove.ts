import fc from 'fast-check'
import { it } from 'vitest'
import { ALGORITHMS, histories, type Kind } from './history.ts'
import { live, PROPERTIES, type Property } from './properties.ts'
import { REGRESSIONS, SHORTFALLS } from './regressions.ts'

/** `SPILLWAY_RUNS` multiplies the histories. */
const FACTOR = (fc.readConfigureGlobal().numRuns as number) / 100

/**
 * The same histories in each run, so that a run tells of the change and not of chance. Others are tried by
 * `SPILLWAY_SEED=random`, or any integer: of those, one in tens of thousands is known to fail (see the changelog).
 */
const { SPILLWAY_SEED = '20261124' } = process.env
const SEED = SPILLWAY_SEED === 'random' ? {} : { seed: Number(SPILLWAY_SEED) }

/** Requires a property of its share of the histories, of each algorithm; a failure prints its seed and its history. */
export function prove(name: keyof typeof PROPERTIES): void {
  const property: Property = PROPERTIES[name]
  it.each(ALGORITHMS)(`${property.name}: %s`, async (algorithm) => {
    const found = (REGRESSIONS[name] ?? []).filter(({ history }) => history.algorithm === algorithm)
    const short = property.fallsShort?.[algorithm] ?? []
    const acts = property.kind.acts.filter((act) => !short.includes(act))
    const kind: Kind = { ...property.kind, algorithm, acts }
    await fc.assert(
      fc.asyncProperty(histories(kind), (history) => live(property, history)),
      {
        ...SEED,
        numRuns: Math.ceil(property.share * FACTOR),
        examples: found.map(({ history }) => [history]),
      },
    )
  })
  // One that passes has been mended, and belongs to the regressions; what it kept out of `fallsShort` comes back in.
  for (const { what, history } of SHORTFALLS[name] ?? [])
    it.fails(`falls short: ${what}`, () => live(property, history))
}
