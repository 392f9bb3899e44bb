import { join } from 'node:path'
import { mergeConfig } from 'vitest/config'
import tests from '../../vitest.config.ts'
import { ROOT } from '../repository.ts'
import { mutants, mutate } from './mutants.ts'

const mutant = mutants.find(({ name }) => name === process.env.SPILLWAY_MUTANT)
const path = mutant && join(ROOT, mutant.file)

/** The tests of the repository, with one source changed as it is loaded: no file is touched. */
export default mergeConfig(tests, {
  root: ROOT,
  // A mutant may well make a history long, and the machine may be busy.
  test: { testTimeout: 600_000 },
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      transform: (source: string, id: string) => (mutant && id === path ? mutate(source, mutant) : undefined),
    },
  ],
})
