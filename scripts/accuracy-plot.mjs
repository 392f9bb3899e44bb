// `npm run accuracy:plot`: sets up a fresh clone, then draws the plot of docs/how-it-works.md.
import { runSources } from './run-sources.mjs'

runSources('accuracy/src/plot/main.ts')
