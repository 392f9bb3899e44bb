// `npm run gateway`: sets up a fresh clone, then runs the gateway example from its sources.
import { ensureRedisServer } from './redis.mjs'
import { runSources } from './run-sources.mjs'

ensureRedisServer()
runSources('examples/gateway/src/main.ts')
