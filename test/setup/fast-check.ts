import fc from 'fast-check'

const DEFAULT_RUNS = 100

const factor = Number(process.env.SPILLWAY_RUNS ?? 1)
if (!(factor > 0))
  throw new Error(`SPILLWAY_RUNS must be a positive number, got ${process.env.SPILLWAY_RUNS}`)

// fast-check prints the seed and the path of a failure itself; put both into the test's `examples`.
fc.configureGlobal({ numRuns: Math.ceil(DEFAULT_RUNS * factor) })
