import { ConfigError, createLimiter, type Decision, fixedWindow, memoryStore } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import { EventLoop } from './event-loop.ts'

/** What a load measured: numbers by name. */
export type Figures = Record<string, number>

export interface HeavyLoad {
  readonly name: string
  readonly url: string
  readonly [option: string]: string | number
}

const YEAR = 365 * 24 * 3_600_000
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function heapMb(): number {
  ;(globalThis as { gc?: () => void }).gc?.()
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20)
}

/** The parent does something to the server, and says when it is done. */
export type Ask = (what: string) => Promise<void>

/** Distinct keys, one check each, as fast as they can be made; with the store away in the middle half if asked. */
async function distinctKeys({ url, name, keys, maxKeys, away }: HeavyLoad, ask: Ask): Promise<Figures> {
  const store = redisStore(url)
  const limit = fixedWindow({ limit: 10, window: YEAR })
  const limiter = createLimiter({
    ...{ name, limit, store, mode: 'soft', maxKeys: maxKeys as number, timeout: '2s' },
    sync: { interval: '200ms' },
  })
  await limiter.check('warm')
  await limiter.flush()
  const heapBefore = heapMb()
  if (away) {
    await ask('kill')
    const until = performance.now() + 10_000
    while (!limiter.stats().degraded && performance.now() < until) await limiter.check('warm')
  }
  let admitted = 0
  let deniedInOutage = 0
  let most = 0
  let offered = 0
  const begun = performance.now()
  // Far above its bound it proves no more by filling the machine.
  while (offered < (keys as number) && most < 4 * (maxKeys as number)) {
    for (const last = Math.min(offered + 500, keys as number); offered < last; offered++) {
      const decision = limiter.checkSync(`key-${offered}`)
      if (decision.allowed) admitted++
      else if (decision.reason === 'outage') deniedInOutage++
    }
    if (offered % 10_000 === 0) most = Math.max(most, limiter.stats().keys)
    await turn()
  }
  const seconds = (performance.now() - begun) / 1000
  if (away) await ask('restart')
  await settled(limiter)
  const heapAfter = heapMb()
  const { expired, pending } = limiter.stats()
  await limiter.close()
  await store.close()
  return { offered, admitted, deniedInOutage, most, seconds, heapBefore, heapAfter, expired, pending }
}

async function settled(limiter: { flush(): Promise<void>; stats(): { pending: number } }): Promise<void> {
  const until = performance.now() + 60_000
  while (limiter.stats().pending > 0 && performance.now() < until) {
    await limiter.flush().catch(() => {})
    await later(50)
  }
}

/** One key as fast as it can be asked, in soft and in hard mode. */
async function oneKey({ url, name, limit, ms }: HeavyLoad): Promise<Figures> {
  const store = redisStore(url)
  const rule = fixedWindow({ limit: limit as number, window: YEAR })
  const soft = createLimiter({
    name: `${name}-soft`,
    limit: rule,
    store,
    mode: 'soft',
    sync: { interval: '100ms' },
  })
  const hard = createLimiter({ name: `${name}-hard`, limit: rule, store, timeout: '2s' })
  await soft.check('key')
  let softChecks = 1
  let softAdmitted = 1
  for (const until = performance.now() + (ms as number); performance.now() < until; await turn()) {
    for (let check = 0; check < 1000; check++, softChecks++) if (soft.checkSync('key').allowed) softAdmitted++
  }
  await settled(soft)
  let hardChecks = 0
  let hardAdmitted = 0
  const until = performance.now() + (ms as number)
  const ask = async () => {
    while (performance.now() < until) {
      hardChecks++
      if ((await hard.check('key')).allowed) hardAdmitted++
    }
  }
  await Promise.all(Array.from({ length: 64 }, ask))
  const { uncertain } = hard.stats()
  await soft.close()
  await hard.close()
  await store.close()
  return { softChecks, softAdmitted, hardChecks, hardAdmitted, uncertain }
}

/** Many keys whose windows all end at the same instants, just when all of them are checked. */
async function rollover({ url, name, keys, windows, window }: HeavyLoad): Promise<Figures> {
  const store = redisStore(url)
  const loop = new EventLoop()
  const timeout = 500
  const limiter = createLimiter({
    ...{ name, store, mode: 'soft', timeout },
    limit: fixedWindow({ limit: 100, window: window as number }),
    sync: { interval: '200ms' },
  })
  let longest = 0
  let longestExcess = -Infinity
  let checks = 0
  for (let round = 0; round < (windows as number); round++) {
    await later((window as number) - (Date.now() % (window as number)))
    const answers: Promise<Decision>[] = []
    for (let key = 0; key < (keys as number); key++, checks++) {
      const started = performance.now()
      const late = loop.lateness()
      const answer = limiter.check(`key-${key}`)
      answers.push(answer)
      void answer.then(() => {
        const took = performance.now() - started
        longest = Math.max(longest, took)
        longestExcess = Math.max(longestExcess, took - timeout - (loop.lateness() - late))
      })
      if (key % 500 === 499) await turn()
    }
    await Promise.all(answers)
  }
  await settled(limiter)
  loop.stop()
  const { admitted, expired, pending, keys: held } = limiter.stats()
  await limiter.close()
  await store.close()
  return { checks, admitted, expired, pending, held, longest, longestExcess }
}

/** Keys that are too long, and as many of the longest that are not. */
async function oversizedKeys({ url, name, checks }: HeavyLoad): Promise<Figures> {
  const store = redisStore(url)
  const limiter = createLimiter({
    ...{ name, store, mode: 'soft', timeout: '2s', maxKeys: 10_000 },
    limit: fixedWindow({ limit: 10, window: YEAR }),
  })
  await limiter.check('warm')
  const before = heapMb()
  const megabyte = 'x'.repeat(2 ** 20)
  let refused = 0
  let admitted = 0
  for (let check = 0; check < (checks as number); check++) {
    const long = check % 2 === 0 ? `${check}${megabyte}` : `${check}${'é'.repeat(513)}`
    await limiter.check(long).then(
      () => {},
      (error: unknown) => {
        if (error instanceof ConfigError && error.code === 'ERR_KEY') refused++
      },
    )
    if ((await limiter.check(String(check).padEnd(1024, 'x'))).allowed) admitted++
  }
  await settled(limiter)
  const after = heapMb()
  const { keys, pending } = limiter.stats()
  await limiter.close()
  await store.close()
  return { checks: checks as number, refused, admitted, keys, pending, before, after }
}

/** An hour in which other keys come all the time, on a clock that is moved by hand. */
async function churn({ name, keysAMinute, maxKeys }: HeavyLoad): Promise<Figures> {
  const clock = new ManualClock(Date.now())
  const store = memoryStore({ clock })
  const limiter = createLimiter({
    ...{ name, store, clock, mode: 'soft', maxKeys: maxKeys as number },
    limit: fixedWindow({ limit: 10, window: '1m' }),
  })
  const figures: Figures = {}
  for (let minute = 1; minute <= 60; minute++) {
    for (let key = 0; key < (keysAMinute as number); key++) {
      limiter.checkSync(`key-${minute}-${key}`)
      if (key % 1000 === 999) await clock.advance(60_000 / ((keysAMinute as number) / 1000))
    }
    if (minute % 20 === 0) figures[`heapAtMinute${minute}`] = heapMb()
    figures.most = Math.max(figures.most ?? 0, limiter.stats().keys)
  }
  await clock.advance(5000)
  figures.pending = limiter.stats().pending
  figures.expired = limiter.stats().expired
  await limiter.close()
  return figures
}

/** How fast what a node holds is given back to a store that lost its data. */
async function restore({ url, name, keys, interval }: HeavyLoad, ask: Ask): Promise<Figures> {
  const store = redisStore(url)
  const limit = fixedWindow({ limit: 10, window: YEAR })
  const limiter = createLimiter({
    ...{ name, store, limit, mode: 'soft', timeout: '5s', maxKeys: 2 * (keys as number) },
    sync: { interval: interval as number },
  })
  for (let key = 0; key < (keys as number); key++) limiter.checkSync(`key-${key}`)
  await settled(limiter)
  await ask('flushall')
  const lost = performance.now()
  limiter.checkSync('key-0')
  await ask('restored')
  const ms = performance.now() - lost
  await limiter.close()
  await store.close()
  return { keys: keys as number, ms }
}

export const heavyLoads: Record<string, (load: HeavyLoad, ask: Ask) => Promise<Figures>> = {
  ...{ distinctKeys, oneKey, rollover, oversizedKeys, churn, restore },
}
