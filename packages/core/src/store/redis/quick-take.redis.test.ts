import { Redis } from 'ioredis'
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { fixedWindow } from '../../algorithms/fixed-window/fixed-window.ts'
import { slidingWindow } from '../../algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from '../../algorithms/token-bucket/token-bucket.ts'
import type { Decision } from '../../decision.ts'
import type { Operation, Reply, Request, Table } from '../store.ts'
import { redisStore } from './redis-store.ts'

const PREFIX = 'quick-take'
const WINDOW = 1000
const ONE = '00000000000000a1'
const OTHER = '00000000000000b2'

let now = 0
const store = redisStore(inject('redisUrl'), { now: () => now, prefix: PREFIX })
const client = new Redis(inject('redisUrl'))
let names = 0
let sequence = 0
let name = ''

afterAll(async () => {
  await store.close()
  client.disconnect()
})

beforeEach(() => {
  name = `${names++}`
  now = 1_000_100
})

const limits = [
  fixedWindow({ limit: 10, window: WINDOW }),
  slidingWindow({ limit: 10, window: WINDOW }),
  tokenBucket({ capacity: 10, refill: 1, per: WINDOW / 10 }),
] as Algorithm[]

/** Exchanges as a limiter's own limit does, unless the request says otherwise. */
function exchange(table: Table, operations: Operation[], rest: Partial<Request> = {}): Promise<Reply> {
  const once = { node: ONE, sequence: ++sequence, deadline: now + 50, limit: [] as const }
  return table.exchange({ ...once, since: -1, presence: 0, extra: 0, operations, ...rest })
}

async function take(table: Table, cost = 1, rest: Partial<Request> = {}): Promise<Decision> {
  const { results } = await exchange(table, [['take', 'key', cost]], rest)
  return (results[0] as readonly Decision[])[0] as Decision
}

/** The number under which the file of the slice is open; below 0 it is closed. */
async function opened(limit: Algorithm): Promise<number> {
  const slice = Math.floor(now / limit.window) + limit.lateSlices
  return Number(await client.hget(`${PREFIX}:1:{${name}}:${slice}`, ''))
}

/** A table whose node takes quickly, with three taken. */
async function quickTable(limit: Algorithm): Promise<Table> {
  const table = store.open(name, limit)
  for (let time = 0; time < 3; time++) await take(table)
  expect(await opened(limit)).toBe(1)
  return table
}

describe.each(limits)('$algorithm', (limit) => {
  it('goes on from what the long way took, and the other way round', async () => {
    const table = await quickTable(limit)
    expect(await take(table, 2)).toMatchObject({ allowed: true, remaining: 5 })
    await exchange(table, [['take', 'key', 1, 1]])
    expect(await take(table, 4)).toMatchObject({ allowed: false, remaining: 3 })
    expect(await take(table, 3)).toMatchObject({ allowed: true, remaining: 0 })
  })

  it('counts nothing of a command that comes again, refused ones too, nor past its deadline', async () => {
    const table = await quickTable(limit)
    const refused = { sequence: ++sequence, deadline: now + 50 }
    expect(await take(table, 8, refused)).toMatchObject({ allowed: false })
    await exchange(table, [['refund', 'key', 3]])
    await expect(take(table, 8, refused)).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    const taken = { sequence: ++sequence, deadline: now + 50 }
    expect(await take(table, 1, taken)).toMatchObject({ allowed: true, remaining: 9 })
    await expect(take(table, 1, taken)).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    await expect(take(table, 1, { deadline: now - 1 })).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    expect(await take(table)).toMatchObject({ allowed: true, remaining: 8 })
  })

  it('counts nothing of a command that comes again while the file is closed', async () => {
    const table = await quickTable(limit)
    const before = { sequence: ++sequence, deadline: now + 50 }
    await take(table, 1, before)
    await exchange(table, [['block', 'other', WINDOW]], { node: OTHER })
    const meanwhile = { sequence: ++sequence, deadline: now + 50 }
    expect(await take(table, 1, meanwhile)).toMatchObject({ allowed: true, remaining: 5 })
    for (const again of [before, meanwhile])
      await expect(take(table, 1, again)).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    expect(await take(table)).toMatchObject({ allowed: true, remaining: 4 })
  })

  it('stops at once where a key is blocked', async () => {
    const table = await quickTable(limit)
    await exchange(store.open(name, limit), [['block', 'key', 5]], { node: OTHER })
    expect(await take(table)).toMatchObject({ allowed: false, reason: 'blocked', retryAfterMs: 5 })
    now += 5
    for (let time = 0; time < 3; time++) expect(await take(table)).toMatchObject({ allowed: true })
    expect(await opened(limit)).toBe(2)
  })

  it('goes by a limit that another node sets at once, and is quick again by it', async () => {
    const table = await quickTable(limit)
    const [, ...rest] = limit.parameters
    const set = [now, 5, ...rest] as const
    await exchange(store.open(name, limit), [], { node: OTHER, limit: set })
    const { limit: told } = await exchange(table, [['take', 'key', 3]])
    expect(told).toEqual(set)
    for (const allowed of [true, true, false])
      expect(await take(table, 1, { limit: set })).toMatchObject({ limit: 5, allowed })
    expect(await opened(limit)).toBe(2)
  })

  it('tells of lost data', async () => {
    const table = await quickTable(limit)
    const before = (await exchange(table, [['take', 'key', 1]])).marker
    await client.unlink(`${PREFIX}:1:{${name}}:meta`)
    const { marker } = await exchange(store.open(name, limit), [['read', 'other']], { node: OTHER })
    expect(marker).not.toBe(before)
    for (let time = 0; time < 3; time++)
      expect((await exchange(table, [['take', 'key', 1]])).marker).toBe(marker)
  })

  it('sees what was settled', async () => {
    const table = await quickTable(limit)
    const slice = Math.floor(now / limit.window)
    const settled: Operation = ['settle', 'key', 0, slice, [4, 0, 0, 0], [0, 0, 0, 0]]
    await exchange(store.open(name, limit), [settled], { node: OTHER })
    expect(await take(table)).toMatchObject({ allowed: true, remaining: 2 })
  })

  it('keeps nodes apart, and each one’s limit: a plan, and the limiter’s own', async () => {
    const table = await quickTable(limit)
    const [most, window, rate, per] = limit.parameters as [number, number, number?, number?]
    const twice = rate === undefined ? [] : [2 * rate, per as number]
    const plan = store.open(name, limit.with([2 * most, window, ...twice]))
    const its = { node: OTHER, limit: undefined }
    for (let time = 0; time < 3; time++) await take(plan, 3, its)
    expect(await take(plan, 6, its)).toMatchObject({ allowed: true, limit: 20, remaining: 2 })
    expect(await take(table)).toMatchObject({ allowed: false, limit: 10 })
  })

  it('goes from slice to slice: nothing of a file that is over counts, and all Redis keys end', async () => {
    const table = await quickTable(limit)
    const memory = limit.create()
    for (let time = 0; time < 3; time++) limit.take(memory, now, 1, 'store', true)
    for (let step = 0; step < 40; step++) {
      now += 137
      const expected = limit.take(memory, now, 2, 'store', true)
      expect({ ...(await take(table, 2)) }).toEqual({ ...expected })
    }
    for (const key of await client.keys(`${PREFIX}:1:{${name}}:*`))
      expect(await client.pttl(key)).toBeGreaterThan(0)
  })
})

it('tells the store’s time, in whole milliseconds', async () => {
  const real = redisStore(inject('redisUrl'), { prefix: PREFIX })
  const limit = fixedWindow({ limit: 10, window: '24h' }) as Algorithm
  const table = real.open(name, limit)
  const time = async () => {
    const [seconds, micros] = await client.time()
    return Math.floor(Number(seconds) * 1000 + Number(micros) / 1000)
  }
  now = await time()
  for (let turn = 0; turn < 10; turn++) {
    const before = await time()
    const { now: told } = await exchange(table, [['take', 'key', 1]], { deadline: before + 1000 })
    expect(told).toBeGreaterThanOrEqual(before)
    expect(told).toBeLessThanOrEqual(await time())
  }
  expect(await opened(limit)).toBe(1)
  await real.close()
})

it('a key can’t be taken for what a file notes', async () => {
  const table = await quickTable(limits[0] as Algorithm)
  const head = `{"p":[10,1000],"s":"fixed-window/1000","id":"${ONE}","l":[]}`
  for (const key of [`\u00ff${head}`, `\uffff${head}`, head, '\udcff', `\udcff${head}`]) {
    const { results } = await exchange(table, [['take', key, 1]])
    expect(results).toMatchObject([[{ allowed: true, remaining: 9 }]])
  }
  expect(await take(table)).toMatchObject({ allowed: true, remaining: 6 })
})
