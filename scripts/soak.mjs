// `npm run soak -- ARGS`: sets up a fresh clone, then runs load with a random fault every 20 s.
import { ensureRedisServer } from './redis.mjs'
import { runSources } from './run-sources.mjs'

ensureRedisServer()
runSources('chaos/src/soak/main.ts')
