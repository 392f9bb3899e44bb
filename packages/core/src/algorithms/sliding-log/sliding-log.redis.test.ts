import { Redis } from 'ioredis'
import { afterAll, beforeEach, expect, inject, it } from 'vitest'
import type { Decision } from '../../decision.ts'
import { redisStore } from '../../store/redis/redis-store.ts'
import type { Operation, Table } from '../../store/store.ts'
import type { Algorithm } from '../algorithm.ts'
import { slidingLog } from './sliding-log.ts'

const PREFIX = 'sliding-log'
const WINDOW = 60_000
const LIMIT = 100

let now = 0
const store = redisStore(inject('redisUrl'), { now: () => now, prefix: PREFIX })
const client = new Redis(inject('redisUrl'))
let names = 0
let name = ''
let table: Table

afterAll(async () => {
  await store.close()
  client.disconnect()
})

beforeEach(() => {
  name = `${names++}`
  now = 1_000_000
  table = store.open(name, slidingLog({ limit: LIMIT, window: WINDOW }) as Algorithm)
})

async function carryOut(operation: Operation) {
  const request = { node: '00000000000000a1', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 }
  const { results } = await table.exchange({ ...request, operations: [operation] })
  return results[0]
}

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
    const file = `${PREFIX}:1:{${name}}:${Math.floor((1_000_000 + LIMIT + WINDOW) / WINDOW)}`
    const row = (await client.hgetBuffer(file, 'key')) as Buffer
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
