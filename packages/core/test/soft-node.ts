import { createLimiter, fixedWindow, type Store } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'

// One node of soft-processes.redis.test.ts: offers checks at a steady rate, and reports on its standard output.
const { url, name, limit, checks, rate, interval } = JSON.parse(process.argv[2] as string)

const redis = redisStore(url)
const sent: number[] = []
const answered: number[] = []
const watched: Store = {
  open(...call) {
    const table = redis.open(...call)
    return {
      get known() {
        return table.known
      },
      now: () => table.now(),
      latest: () => table.latest(),
      async exchange(request) {
        const time = performance.now()
        const reply = await table.exchange(request)
        sent.push(time)
        answered.push(performance.now())
        return reply
      },
    }
  },
  close: () => redis.close(),
}
const limiter = createLimiter({
  ...{ name, mode: 'soft', store: watched, sync: { interval }, timeout: '2s' },
  limit: fixedWindow({ limit, window: '1h' }),
})
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

await limiter.peek('warm')
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))

const offers: number[] = []
const begin = performance.now()
while (offers.length < checks) {
  while (offers.length < checks && offers.length < ((performance.now() - begin) * rate) / 1000) {
    offers.push(performance.now())
    limiter.checkSync('key')
  }
  await turn()
}
await limiter.close()

// From one flush being sent to the next one's reply.
let stretch = 0
for (let place = 1; place < sent.length; place++)
  stretch = Math.max(stretch, (answered[place] as number) - (sent[place - 1] as number))
let most = 0
for (let first = 0, last = 0; last < offers.length; last++) {
  while ((offers[last] as number) - (offers[first] as number) > stretch) first++
  most = Math.max(most, last - first + 1)
}
const { admitted, pending } = limiter.stats()
process.stdout.write(`${JSON.stringify({ admitted, pending, most, stretch })}\n`)
process.stdin.destroy()
await redis.close()
