import fc from 'fast-check'

const DEFAULT_RUNS = 100

const factor = Number(process.env.SPILLWAY_RUNS ?? 1)
if (!(factor > 0))
  throw new Error(`SPILLWAY_RUNS must be a positive number, got ${process.env.SPILLWAY_RUNS}`)

/** The same in each run, so that a run tells of the change and not of chance; others by `SPILLWAY_SEED=random`, or any integer. */
const SEED = 20261124
const { SPILLWAY_SEED = SEED } = process.env

// fast-check prints the seed and the path of a failure itself; put both into the test's `examples`.
fc.configureGlobal({
  numRuns: Math.ceil(DEFAULT_RUNS * factor),
  ...(SPILLWAY_SEED === 'random' ? {} : { seed: Number(SPILLWAY_SEED) }),
})
