// `npm run demo -- ARGS`: sets up a fresh clone, then runs the demo from its sources.
import { runSources } from './run-sources.mjs'

runSources('demo/src/main.ts')
