import { Redis } from 'ioredis'
import { afterAll, describe, expect, inject, it } from 'vitest'
import {
  createLimiter,
  fixedWindow,
  type HardLimiter,
  type LimiterOptions,
  type Mode,
  type Store,
  slidingLog,
} from './index.ts'
import { redisStore } from './redis.ts'

const SHARDS = 8
const PREFIX = 'shards-test'
const client = new Redis(inject('redisUrl'))
const open: { close(): Promise<void> }[] = []
let names = 0

afterAll(async () => {
  for (const one of open) await one.close()
  client.disconnect()
})

function store(shards?: number): Store {
  return redisStore(inject('redisUrl'), { prefix: PREFIX, ...(shards === undefined ? {} : { shards }) })
}

/** Two nodes, with a store each. */
function nodes(mode: Mode, options: Pick<LimiterOptions, 'limit' | 'spike'>) {
  const name = `${mode}-${names++}`
  const node = () => {
    const its = store(SHARDS)
    const sync = mode === 'hard' ? undefined : { interval: '1h' }
    const limiter = createLimiter({
      name,
      mode,
      store: its,
      sync,
      timeout: '30s',
      ...options,
    } as LimiterOptions)
    open.push(limiter, its)
    return limiter
  }
  return { name, one: node(), two: node() }
}

async function admitted(limiter: HardLimiter, key: string, tries: number): Promise<number> {
  const decisions = await Promise.all(Array.from({ length: tries }, () => limiter.check(key)))
  return decisions.filter(({ allowed }) => allowed).length
}

const keys = Array.from({ length: 100 }, (_, n) => `key${n}`)

describe.each<Mode>(['hard', 'soft', 'leased'])('%s, over several tables', (mode) => {
  it('counts every key once, wherever it lies', async () => {
    const { name, one, two } = nodes(mode, { limit: fixedWindow({ limit: 5, window: '365d' }) })
    const first = await Promise.all(keys.map((key) => admitted(one, key, 3)))
    await one.flush()
    const second = await Promise.all(keys.map((key) => admitted(two, key, 5)))
    await two.flush()
    for (const place of keys.keys()) {
      expect(first[place]).toBeLessThanOrEqual(3)
      expect((first[place] ?? 0) + (second[place] ?? 0)).toBeLessThanOrEqual(5)
      if (mode !== 'leased') expect((first[place] ?? 0) + (second[place] ?? 0)).toBe(5)
    }
    const tables = new Set((await client.keys(`${PREFIX}:1:{${name}*`)).map((key) => key.split(/[{}]/)[1]))
    expect(tables).toEqual(
      new Set([name, ...Array.from({ length: SHARDS - 1 }, (_, n) => `${name}#${n + 1}`)]),
    )
    expect(one.stats()).toMatchObject({ pending: 0, degraded: false, checks: 300 })
  })

  it('decides several limits of a key together, and verbs reach its table', async () => {
    const limit = [fixedWindow({ limit: 2, window: '365d' }), slidingLog({ limit: 9, window: '365d' })]
    const { one, two } = nodes(mode, { limit })
    for (const key of ['a', 'b', 'c']) {
      expect(await admitted(one, key, 4)).toBe(2)
      await one.flush()
      const { parts } = await two.peek(key)
      expect(parts).toMatchObject([{ remaining: 0 }, {}])
      // Leased: what is booked for the other node is not there for this one.
      if (mode === 'leased') expect(parts?.[1]?.remaining).toBeLessThanOrEqual(7)
      else expect(parts?.[1]?.remaining).toBe(7)
      await two.block(key, '1h')
      expect((await two.check(key)).reason).toBe('blocked')
      await two.reset(key)
      expect((await two.check(key)).allowed).toBe(true)
    }
  })
})

it('takes of a reserve in the same command', async () => {
  const { one } = nodes('hard', {
    limit: fixedWindow({ limit: 1, window: '365d' }),
    spike: { extra: 1, per: '365d' },
  })
  for (const key of ['a', 'b', 'c']) {
    await one.check(key)
    const { storeCalls } = one.stats()
    expect(await one.check(key)).toMatchObject({ allowed: true, spike: true })
    expect(await one.check(key)).toMatchObject({ allowed: false })
    expect(one.stats().storeCalls).toBe(storeCalls + 2)
  }
})

it('a limit that is set reaches every table', async () => {
  const { one, two } = nodes('hard', { limit: fixedWindow({ limit: 1, window: '365d' }) })
  expect(await one.setLimit(fixedWindow({ limit: 3, window: '365d' }))).toBe(true)
  for (const key of keys.slice(0, 20)) expect(await admitted(two, key, 5)).toBe(3)
})

it('nodes that spread their keys over another number of tables are told of it', async () => {
  const name = `mismatch-${names++}`
  const limit = fixedWindow({ limit: 1, window: '1m' })
  const [one, two] = [4, 1].map((shards) =>
    createLimiter({ name, limit, store: store(shards), timeout: '30s' }),
  )
  await Promise.all(keys.map((key) => one?.check(key)))
  await expect(two?.check('key')).rejects.toMatchObject({ code: 'ERR_MISMATCH', message: /`shards`/ })
  open.push(one as HardLimiter, two as HardLimiter)
})

it.each([0, -1, 1.5, 1025, '4', Number.NaN, null])('refuses to spread keys over %s tables', (shards) => {
  expect(() => store(shards as number)).toThrow(/shards is .*: give an integer from 1 to 1024/)
})
