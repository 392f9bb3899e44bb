import { startRedis } from '@spillway/redis-server'
import { Redis } from 'ioredis'
import { afterAll, beforeEach, expect, it } from 'vitest'
import type { Decision } from '../../decision.ts'
import { redisStore } from '../../store/redis/redis-store.ts'
import { costOf } from '../../store/row.ts'
import type { Operation, Snapshot, Table } from '../../store/store.ts'
import type { Algorithm } from '../algorithm.ts'
import { slidingLog } from './sliding-log.ts'

const PREFIX = 'sliding-log'
const WINDOW = 60_000
const LIMIT = 100

let now = 0
/** Its own, whose commands are counted. */
const redis = await startRedis()
const store = redisStore(redis.url, { now: () => now, prefix: PREFIX })
const client = new Redis(redis.url)
let names = 0
let name = ''
let table: Table

afterAll(async () => {
  await store.close()
  client.disconnect()
  await redis.stop()
})

beforeEach(() => {
  name = `${names++}`
  now = 1_000_000
  table = store.open(name, slidingLog({ limit: LIMIT, window: WINDOW }) as Algorithm)
})

async function carryOutAll(operations: Operation[]) {
  const request = { node: '00000000000000a1', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 }
  const { results } = await table.exchange({ ...request, operations })
  return results
}

const carryOut = async (operation: Operation) => (await carryOutAll([operation]))[0]

async function take(cost = 1): Promise<Decision> {
  return ((await carryOut(['take', 'key', cost])) as readonly Decision[])[0] as Decision
}

/** One each millisecond. */
async function takeEach(times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    now++
    expect((await take()).allowed).toBe(true)
  }
}

const list = () => `${PREFIX}:1:{${name}}:l:key`
/** Where the row lies whose newest entry is of this time. */
const file = (newest: number) => `${PREFIX}:1:{${name}}:${Math.floor((newest + WINDOW - 1) / WINDOW)}`

/** How many commands for lists this takes. */
async function listCommands(work: () => Promise<unknown>): Promise<number> {
  await client.config('RESETSTAT')
  await work()
  const stats = await client.info('commandstats')
  const calls = [...stats.matchAll(/cmdstat_(?:lrange|lindex|ltrim|[lr]pop|[lr]push):calls=(\d+)/g)]
  return calls.reduce((sum, [, count]) => sum + Number(count), 0)
}

it('keeps no more of a long log in its list than what counts', async () => {
  for (let time = 0; time < 500; time++) {
    now += WINDOW / 50
    expect((await take()).remaining).toBe(LIMIT - Math.min(50, time + 1))
  }
  const chunks = await client.lrange(list(), 0, -1)
  expect(chunks.length).toBeGreaterThan(0)
  expect(chunks.length).toBeLessThan(50 / 8)
  await carryOut(['reset', 'key'])
  expect(await client.exists(list())).toBe(0)
  expect((await take()).remaining).toBe(LIMIT - 1)
})

it('passes what has expired once, also where nothing is taken', async () => {
  await takeEach(LIMIT)
  now += WINDOW - LIMIT / 2
  for (const ask of [() => take(LIMIT), () => carryOut(['peek', 'key'])]) {
    await ask()
    const row = (await client.hgetBuffer(file(1_000_000 + LIMIT), 'key')) as Buffer
    // The oldest entry's time lies behind what was admitted before it.
    expect(row.readDoubleBE(16)).toBe(now - WINDOW + 1)
    now += 20
  }
})

it('counts what a lost list held until what came after it expires', async () => {
  await takeEach(60)
  expect(await client.unlink(list())).toBe(1)
  expect(await take(41)).toMatchObject({ allowed: false, remaining: 40 })
  now += WINDOW - 59
  expect(await take(42)).toMatchObject({ allowed: false, remaining: 41 })
  now += 30
  expect(await take(42)).toMatchObject({ allowed: false, remaining: 41 })
  now += 29
  expect((await take(LIMIT)).allowed).toBe(true)
})

it('takes nothing from the list that an older log of the key has left', async () => {
  await takeEach(60)
  const left = await client.lrange(list(), 0, -1)
  await carryOut(['refund', 'key', LIMIT])
  expect(left.length).toBeGreaterThan(0)
  now += 10
  await takeEach(50)
  now += WINDOW - 25
  expect((await take()).remaining).toBe(LIMIT - 26)
})

it('fetches a long list in pages', async () => {
  const COUNT = 6000
  const entries = Array.from({ length: COUNT }, (_, place) => [now + place, 1]).flat()
  const slice = Math.floor(now / WINDOW)
  now += COUNT
  const settle = ['settle', 'key', 0, slice, [COUNT, 0, 0, 0], [0, 0, 0, 0], null, entries, []] as const
  await carryOut(settle as unknown as Operation)
  expect(await client.llen(list())).toBeGreaterThan(COUNT / 15)
  const asks: [string, () => Promise<unknown>][] = [
    ['when all of it is free', async () => expect((await take(LIMIT)).retryAfterMs).toBe(WINDOW - 1)],
    ['a refund of almost half', () => carryOut(['refund', 'key', COUNT / 2 - LIMIT])],
    ['a refund from a third on', () => carryOut(['refund', 'key', 10, 1_000_000 + COUNT / 3])],
    ['all of it', () => carryOut(['read', 'key'])],
  ]
  for (const [what, ask] of asks) expect(await listCommands(ask), what).toBeLessThan(40)
  now = 1_000_000 + WINDOW + COUNT / 4
  const passes = async () => expect((await take()).retryAfterMs).toBe(COUNT / 4)
  expect(await listCommands(passes)).toBeLessThan(40)
})

it('moves nothing of a long log into its list until it is sure to write the row', async () => {
  await takeEach(45)
  const slice = Math.floor(now / WINDOW)
  // More than a log is kept of this key: takes of both are operations.
  await carryOut(['settle', 'settled', 0, slice, [1, 0, 0, 0], [0, 0, 0, 0], null, [now, 1], []])
  for (let time = 0; time < 30; time++) {
    now++
    await carryOutAll([
      ['take', 'key', 1],
      ['take', 'settled', 1],
    ])
  }
  const { entries } = (await carryOut(['read', 'key'])) as Snapshot
  expect(entries).toEqual(Array.from({ length: 75 }, (_, place) => [1_000_001 + place, 1]).flat())
})

it('has one entry for all that batches take within a millisecond', async () => {
  for (let time = 1; time <= 5; time++) {
    await carryOutAll([
      ['take', 'key', 1],
      ['take', 'other', 2],
    ])
    for (const [key, cost] of [
      ['key', 1],
      ['other', 2],
    ] as const) {
      const row = (await client.hgetBuffer(file(now), key)) as Buffer
      expect(row.length).toBe(2 * 16)
      expect([row.readDoubleBE(16), row.readDoubleBE(24)]).toEqual([now, time * cost])
    }
  }
})

it('takes nothing for its own that a later row has left in the list', async () => {
  const takeApart = async (times: number) => {
    for (let time = 0; time < times; time++) {
      now += 300
      expect((await take()).allowed).toBe(true)
    }
  }
  await takeApart(50)
  now = 17 * WINDOW
  await takeApart(45)
  expect(file(now)).not.toBe(file(1_000_000))
  // Redis drops whole keys where memory is short: here the newer file of two.
  await client.unlink(file(now))
  let admitted = 0
  await take()
  now = 1_000_000 + WINDOW
  for (let time = 0; time < 8; time++, now += 2000) {
    for (let turn = 0; turn < LIMIT + 1; turn++) if ((await take()).allowed) admitted++
    const { a, entries } = (await carryOut(['read', 'key'])) as Snapshot
    expect(costOf(entries as number[])).toBe(a)
  }
  expect(admitted).toBeLessThanOrEqual(LIMIT)
})

it('counts what it admits after a later row was lost, of which the list still has entries', async () => {
  const takeAll = async (times: number, apart: number) => {
    let admitted = 0
    for (let time = 0; time < times; time++) {
      now += apart
      if ((await take()).allowed) admitted++
    }
    return admitted
  }
  now = 17 * WINDOW - 5000
  await takeAll(30, 1)
  now = 17 * WINDOW + 1000
  await takeAll(50, 100)
  await client.unlink(file(now))
  now = 17 * WINDOW + 30_000
  const before = await takeAll(LIMIT, 10)
  expect(before).toBe(LIMIT - 30)
  // What was admitted before the loss has expired.
  now = 18 * WINDOW + 8000
  expect(await takeAll(LIMIT, 1)).toBe(LIMIT - before)
})

it('is full where its sums run backwards', async () => {
  await take()
  const row = [0, 1000, now - 10, 1001, now - WINDOW - 5, 4, now, 8]
  const bytes = Buffer.alloc(8 * row.length)
  for (const [place, number] of row.entries()) bytes.writeDoubleBE(number, 8 * place)
  await client.hset(file(now), 'key', bytes)
  expect(await take()).toMatchObject({ allowed: false, remaining: 0 })
  now += WINDOW
  expect(await take()).toMatchObject({ allowed: true, remaining: LIMIT - 1 })
})
