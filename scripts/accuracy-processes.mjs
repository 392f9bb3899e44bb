// `npm run accuracy:processes`: sets up a fresh clone, then measures real processes over a real Redis.
import { runSources } from './run-sources.mjs'

runSources('accuracy/src/processes/main.ts')
