// `npm run mutants`: sets up a fresh clone, then puts known bugs into the core and requires the tests to find them.
import { runSources } from './run-sources.mjs'

runSources('test/mutants/main.ts')
