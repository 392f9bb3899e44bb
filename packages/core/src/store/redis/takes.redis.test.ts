import { Redis } from 'ioredis'
import { afterAll, expect, inject, it } from 'vitest'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { fixedWindow } from '../../algorithms/fixed-window/fixed-window.ts'
import { tokenBucket } from '../../algorithms/token-bucket/token-bucket.ts'
import type { Decision } from '../../decision.ts'
import type { Limit } from '../../index.ts'
import type { Operation, Table } from '../store.ts'
import { redisStore } from './redis-store.ts'

// Takes of several keys at once go a short way of their own, see `takesLua`.

const HOUR = 3_600_000
const PREFIX = 'takes-test'
let now = 0
const store = redisStore(inject('redisUrl'), { prefix: PREFIX, now: () => now })
const client = new Redis(inject('redisUrl'))
let names = 0

afterAll(async () => {
  await store.close()
  client.disconnect()
})

const open = (name: string, limit: Limit) => store.open(name, limit as Algorithm)

/** Each key takes alike; what one is left with, or that it is refused. */
async function takeAll(table: Table, cost: number, keys = ['one', 'other']): Promise<number | 'refused'> {
  const operations = keys.map((key): Operation => ['take', key, cost])
  const rest = { node: '0123456789abcdef', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 }
  const { results } = await table.exchange({ ...rest, operations })
  const [decision, ...others] = (results as Decision[][]).map(([decision]) => decision as Decision)
  for (const other of others) expect(other).toEqual(decision)
  return decision?.allowed ? decision.remaining : 'refused'
}

it('gives a token back in the very millisecond in which it has drained', async () => {
  const table = open(`${names++}`, tokenBucket({ capacity: 10, refill: 10, per: '1h' }))
  now = 100 * HOUR
  expect(await takeAll(table, 10)).toBe(0)
  now += HOUR / 10 - 1
  expect(await takeAll(table, 1)).toBe('refused')
  now += 1
  expect(await takeAll(table, 1)).toBe(0)
  expect(await takeAll(table, 1)).toBe('refused')
})

it('keeps a bucket until it has drained by a slower plan that refused it', async () => {
  const name = `${names++}`
  now = 100 * HOUR + 1
  expect(await takeAll(open(name, tokenBucket({ capacity: 100, refill: 100, per: '1h' })), 100)).toBe(0)
  const slow = open(name, tokenBucket({ capacity: 10, refill: 10, per: '1h' }))
  expect(await takeAll(slow, 1)).toBe('refused')
  now += 9 * HOUR
  expect(await takeAll(slow, 1)).toBe('refused')
  now += HOUR
  expect(await takeAll(slow, 1)).toBe(9)
})

it('keeps what a bucket gave after the clock went back into the slice before', async () => {
  const table = open(`${names++}`, tokenBucket({ capacity: 10, refill: 10, per: '1h' }))
  now = 100 * HOUR + 5
  expect(await takeAll(table, 5)).toBe(5)
  now -= 10
  expect(await takeAll(table, 5)).toBe(0)
  now = 101 * HOUR
  expect(await takeAll(table, 10)).toBe('refused')
  now += 5
  expect(await takeAll(table, 10)).toBe(0)
})

it('keeps a bucket that drains within the first millisecond of the next slice', async () => {
  const table = open(`${names++}`, tokenBucket({ capacity: 3, refill: 3, per: '1s' }))
  // A token drains in 333.3 ms.
  now = 100_667
  expect(await takeAll(table, 1)).toBe(2)
  now = 101_000
  expect(await takeAll(table, 3)).toBe('refused')
  now += 1
  expect(await takeAll(table, 3)).toBe(0)
})

it('has Redis keep many rows as a table, in which none is searched for', async () => {
  const name = `${names++}`
  const table = open(name, fixedWindow({ limit: 10, window: '1h' }))
  now = 100 * HOUR
  const file = `${PREFIX}:1:{${name}}:100`
  const keys = Array.from({ length: 40 }, (_, place) => `user:${place}`)
  await takeAll(table, 1, keys.slice(0, 20))
  expect(await client.object('ENCODING', file)).toBe('listpack')
  await takeAll(table, 1, keys.slice(20))
  expect(await client.object('ENCODING', file)).toBe('hashtable')
  expect((await client.hkeys(file)).sort()).toEqual(keys.toSorted())
})
