import { ConfigError, createLimiter, fixedWindow, memoryStore } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import { type Figures, Meter } from './meter.ts'

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

/** Asks the parent to do something to the server; resolves when it is done. */
export type Ask = (what: string) => Promise<void>

/** Distinct keys, one check each, as fast as they can be made; while the store is away if asked. */
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
  const meter = new Meter(limiter, 2000)
  let most = 0
  let offered = 0
  const begun = performance.now()
  // Stops far above the bound: filling the machine's memory would prove no more.
  while (offered < (keys as number) && most < 4 * (maxKeys as number)) {
    for (const last = Math.min(offered + 500, keys as number); offered < last; offered++)
      meter.checkSync(`key-${offered}`)
    if (offered % 10_000 === 0) most = Math.max(most, limiter.stats().keys)
    await turn()
  }
  const seconds = (performance.now() - begun) / 1000
  if (away) await ask('restart')
  await settled(limiter)
  const heapAfter = heapMb()
  const figures = meter.end()
  await limiter.close()
  await store.close()
  return { ...figures, most, seconds, heapBefore, heapAfter }
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
  const softly = new Meter(soft, 100)
  await softly.check('key')
  for (const until = performance.now() + (ms as number); performance.now() < until; await turn())
    for (let check = 0; check < 1000; check++) softly.checkSync('key')
  await settled(soft)
  const hardly = new Meter(hard, 2000)
  const until = performance.now() + (ms as number)
  const ask = async () => {
    while (performance.now() < until) await hardly.check('key')
  }
  await Promise.all(Array.from({ length: 64 }, ask))
  const figures = { ...of('soft', softly.end()), ...of('hard', hardly.end()) }
  await soft.close()
  await hard.close()
  await store.close()
  return figures
}

/** The figures of one of several limiters, with its mode in their names. */
function of(mode: string, figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([what, number]) => [`${mode} ${what}`, number]))
}

/** Many keys whose windows all end at the same instants, just when all of them are checked. */
async function rollover({ url, name, keys, windows, window }: HeavyLoad): Promise<Figures> {
  const store = redisStore(url)
  const timeout = 500
  const limiter = createLimiter({
    ...{ name, store, mode: 'soft', timeout },
    limit: fixedWindow({ limit: 100, window: window as number }),
    sync: { interval: '200ms' },
  })
  const meter = new Meter(limiter, timeout)
  for (let round = 0; round < (windows as number); round++) {
    await later((window as number) - (Date.now() % (window as number)))
    const answers: Promise<boolean>[] = []
    for (let key = 0; key < (keys as number); key++) {
      answers.push(meter.check(`key-${key}`))
      if (key % 500 === 499) await turn()
    }
    await Promise.all(answers)
  }
  await settled(limiter)
  const figures = { ...meter.end(), held: limiter.stats().keys }
  await limiter.close()
  await store.close()
  return figures
}

/** Keys that are too long, and as many of the longest that are allowed. */
async function oversizedKeys({ url, name, checks }: HeavyLoad): Promise<Figures> {
  const store = redisStore(url)
  const limiter = createLimiter({
    ...{ name, store, mode: 'soft', timeout: '2s', maxKeys: 10_000 },
    limit: fixedWindow({ limit: 10, window: YEAR }),
  })
  await limiter.check('warm')
  const before = heapMb()
  const megabyte = 'x'.repeat(2 ** 20)
  const meter = new Meter(limiter, 2000)
  let refused = 0
  for (let check = 0; check < (checks as number); check++) {
    const long = check % 2 === 0 ? `${check}${megabyte}` : `${check}${'é'.repeat(513)}`
    await meter.check(long).then(
      () => {},
      (error: unknown) => {
        if (error instanceof ConfigError && error.code === 'ERR_KEY') refused++
      },
    )
    await meter.check(String(check).padEnd(1024, 'x'))
  }
  await settled(limiter)
  const after = heapMb()
  const figures = { ...meter.end(), refused, keys: limiter.stats().keys, before, after }
  await limiter.close()
  await store.close()
  return figures
}

/** An hour in which new keys come all the time, on a clock that is moved by hand. */
async function churn({ name, keysAMinute, maxKeys }: HeavyLoad): Promise<Figures> {
  const clock = new ManualClock(Date.now())
  const store = memoryStore({ clock })
  const limiter = createLimiter({
    ...{ name, store, clock, mode: 'soft', maxKeys: maxKeys as number },
    limit: fixedWindow({ limit: 10, window: '1m' }),
  })
  const meter = new Meter(limiter, 100)
  const figures: Figures = {}
  for (let minute = 1; minute <= 60; minute++) {
    for (let key = 0; key < (keysAMinute as number); key++) {
      meter.checkSync(`key-${minute}-${key}`)
      if (key % 1000 === 999) await clock.advance(60_000 / ((keysAMinute as number) / 1000))
    }
    if (minute % 20 === 0) figures[`heapAtMinute${minute}`] = heapMb()
    figures.most = Math.max(figures.most ?? 0, limiter.stats().keys)
  }
  await clock.advance(5000)
  Object.assign(figures, meter.end())
  await limiter.close()
  return figures
}

/** How fast a node restores what it holds to a store that lost its data. */
async function restore({ url, name, keys, interval }: HeavyLoad, ask: Ask): Promise<Figures> {
  const store = redisStore(url)
  const limit = fixedWindow({ limit: 10, window: YEAR })
  const limiter = createLimiter({
    ...{ name, store, limit, mode: 'soft', timeout: '5s', maxKeys: 2 * (keys as number) },
    sync: { interval: interval as number },
  })
  const meter = new Meter(limiter, 5000)
  for (let key = 0; key < (keys as number); key++) meter.checkSync(`key-${key}`)
  await settled(limiter)
  await ask('flushall')
  const lost = performance.now()
  limiter.checkSync('key-0')
  await ask('restored')
  const ms = performance.now() - lost
  const figures = { ...meter.end(), keys: keys as number, ms }
  await limiter.close()
  await store.close()
  return figures
}

export const heavyLoads: Record<string, (load: HeavyLoad, ask: Ask) => Promise<Figures>> = {
  ...{ distinctKeys, oneKey, rollover, oversizedKeys, churn, restore },
}
