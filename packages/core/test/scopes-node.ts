import { writeSync } from 'node:fs'
import { createLimiter, fixedWindow, type Store } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { seededRandom } from '@spillway/core/testing'
import { Cluster } from 'ioredis'

// A process of cluster-scopes.redis.test.ts: checks without an end, and says what was admitted before it goes on.
const { addresses, name, mode, limits, users, workers, seed, diesGivingBack } = JSON.parse(
  process.argv[2] as string,
)

/** Kills this process where it is about to give back what one scope took and another refused. */
function deadly(store: Store): Store {
  return {
    shards: store.shards as number,
    open(...call) {
      const table = store.open(...call)
      return {
        get known() {
          return table.known
        },
        now: () => table.now(),
        latest: () => table.latest(),
        exchange(request) {
          if (request.operations.some(([what]) => what === 'refund')) process.kill(process.pid, 'SIGKILL')
          return table.exchange(request)
        },
      }
    },
    close: () => store.close(),
  }
}

const cluster = new Cluster(addresses, { slotsRefreshTimeout: 5000 })
const store = redisStore(cluster, { shards: 1 })
const scopes = Object.entries<{ limit: number; window: string }>(limits).map(([scope, numbers]) => [
  scope,
  fixedWindow(numbers),
])
const limiter = createLimiter({
  ...{ name, mode, timeout: '5s', store: diesGivingBack ? deadly(store) : store },
  scopes: Object.fromEntries(scopes),
  sync: mode === 'hard' ? undefined : { interval: '100ms' },
})

const random = seededRandom(seed)
const worker = async () => {
  for (;;) {
    const keys = Object.fromEntries(scopes.map(([scope]) => [scope, `${Math.floor(random() * users)}`]))
    if ((await limiter.check(keys)).allowed) writeSync(1, `${JSON.stringify(keys)}\n`)
    else await new Promise((resolve) => setImmediate(resolve))
  }
}
await Promise.all(Array.from({ length: workers }, worker))
