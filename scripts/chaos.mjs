// `npm run chaos -- ARGS`: sets up a fresh clone, then breaks servers, networks and nodes under load.
import { ensureRedisServer } from './redis.mjs'
import { runSources } from './run-sources.mjs'

ensureRedisServer()
runSources('chaos/src/main.ts')
