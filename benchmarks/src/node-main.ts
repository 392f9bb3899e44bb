import { createLimiter } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { draws, keyNames } from './keys.ts'
import { cpuMicroseconds, turn } from './measure.ts'
import { SHARED } from './node-limit.ts'

// One node of several: `node-main.ts REDIS KEYS CHECKS WARM_UP`. Asked to check, it tells how many of CHECKS checks
// were admitted, and the CPU time since it last told. Asked to end, it settles, gives back what was booked for it, and
// tells how many were admitted in all.

/** Checks between two turns of the event loop. */
const BURST = 256

const [redisUrl, keys, checks, warmUp] = process.argv.slice(2) as [string, string, string, string]
const limiter = createLimiter({
  ...SHARED,
  mode: 'soft',
  store: redisStore(redisUrl),
})
const names = keyNames(Number(keys))
const order = draws('uniform', names.length, 2 ** 17)
let place = 0
let admittedInAll = 0

async function check(count: number): Promise<number> {
  let admitted = 0
  for (let done = 0; done < count; done += BURST) {
    for (const end = place + Math.min(BURST, count - done); place < end; place++)
      if (limiter.checkSync(names[order[place & (order.length - 1)]!]!).allowed) admitted++
    await turn()
  }
  admittedInAll += admitted
  return admitted
}

for (const name of names) if ((await limiter.check(name)).allowed) admittedInAll++
await limiter.flush()
await check(Number(warmUp))
let told = cpuMicroseconds()
process.on('message', async (asked: 'check' | 'end') => {
  if (asked === 'end') {
    await limiter.close()
    process.send!({ admitted: admittedInAll, cpu: 0 })
    return
  }
  const admitted = await check(Number(checks))
  const now = cpuMicroseconds()
  process.send!({ admitted, cpu: now - told })
  told = now
})
process.on('disconnect', () => process.exit())
process.send!({ admitted: 0, cpu: 0 })
