// `npm run accuracy -- ARGS`: sets up a fresh clone, then measures the accuracy in the simulator.
import { runSources } from './run-sources.mjs'

runSources('accuracy/src/main.ts')
