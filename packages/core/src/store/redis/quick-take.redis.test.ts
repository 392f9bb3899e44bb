import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Algorithm, isWindow } from '../../algorithms/algorithm.ts'
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
  beside = []
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

/** Of the keys that each command takes of beside the one that is looked at, a unit each. */
let beside: readonly string[] = []

/** Of `key`. */
async function take(table: Table, cost = 1, rest: Partial<Request> = {}): Promise<Decision> {
  const [decision] = await takeEach(table, ['key'], cost, rest)
  return decision as Decision
}

/** Of each key. */
async function takeEach(table: Table, keys: readonly string[], cost = 1, rest: Partial<Request> = {}) {
  const takes = keys.map((key): Operation => ['take', key, cost])
  const others = beside.map((key): Operation => ['take', key, 1])
  const { results } = await exchange(table, [...takes, ...others], rest)
  return (results as (readonly Decision[])[]).slice(0, keys.length).map(([decision]) => decision as Decision)
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

/** What scripts ask Redis for about the table meanwhile, and of which of its Redis keys. */
async function commandsOf(does: () => Promise<unknown>): Promise<string[]> {
  const { hostname, port } = new URL(inject('redisUrl'))
  const monitor = connect(Number(port), hostname)
  const lines = createInterface(monitor)[Symbol.asyncIterator]()
  monitor.write('MONITOR\r\n')
  await lines.next()
  await does()
  await client.echo(name)
  const asked = new RegExp(`^\\S+ \\[0 lua\\] "(\\w+)" "${PREFIX}:1:\\{${name}\\}:(\\w+)"`)
  const commands: string[] = []
  for (;;) {
    const { value } = await lines.next()
    if (value.endsWith(`"echo" "${name}"`)) break
    const [, command, key] = asked.exec(value) ?? []
    if (command !== undefined) commands.push(`${command} ${key}`)
  }
  monitor.destroy()
  return commands
}

const ways = [
  { way: 'one take', others: [] },
  { way: 'several takes', others: ['beside', 'another'] },
]
const all = ways.flatMap((way) => limits.map((limit) => ({ ...way, limit, algorithm: limit.algorithm })))

describe.each(all)('$way, $algorithm', ({ others, limit }) => {
  beforeEach(() => {
    beside = others
  })

  it('asks Redis for nothing but the slice’s file, and of a bucket the one before', async () => {
    const table = await quickTable(limit)
    const heard = await commandsOf(() => take(table))
    const file = Math.floor(now / WINDOW) + limit.lateSlices
    const files = isWindow(limit) ? [file] : [file, file - 1]
    const reads = files.map((file, place) =>
      place > 0 && others.length === 0 ? `HGET ${file}` : `HMGET ${file}`,
    )
    expect(heard).toEqual([...reads, ...files.map((file) => `HSET ${file}`)])
  })

  it('goes on from what the long way took, and the other way round', async () => {
    const table = await quickTable(limit)
    expect(await take(table, 2)).toMatchObject({ allowed: true, remaining: 5 })
    await exchange(table, [
      ['take', 'key', 1, 1],
      ['peek', 'key'],
    ])
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

  it('counts a command once while the clock is back in the slice before', async () => {
    const table = await quickTable(limit)
    const again = { sequence: ++sequence, deadline: now }
    now = 999_990
    expect(await take(table, 1, again)).toMatchObject({ allowed: true, remaining: 6 })
    await expect(take(table, 1, again)).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
  })

  it('sees what was settled, and looks at the rows twice then', async () => {
    const table = await quickTable(limit)
    const slice = Math.floor(now / limit.window)
    const settled: Operation = ['settle', 'key', 0, slice, [4, 0, 0, 0], [0, 0, 0, 0]]
    await exchange(store.open(name, limit), [settled], { node: OTHER })
    const heard = await commandsOf(async () => {
      expect(await take(table)).toMatchObject({ allowed: true, remaining: 2 })
    })
    expect(heard.filter((command) => command === `HMGET ${slice + limit.lateSlices}`)).toHaveLength(2)
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

  it('takes several costs of a key in turn', async () => {
    const table = await quickTable(limit)
    const costs = [1, 7, 2, 4, 1, 1, 1, 1]
    const operations: Operation[] = [
      ['take', 'key', ...costs],
      ...beside.map((key): Operation => ['take', key, 1]),
    ]
    const memory = limit.create()
    for (let time = 0; time < 3; time++) limit.take(memory, now, 1, 'store', true)
    const expected = costs.map((cost) => ({ ...limit.take(memory, now, cost, 'store', true) }))
    let results: Reply['results'] = []
    const heard = await commandsOf(async () => {
      results = (await exchange(table, operations)).results
    })
    expect(results[0]).toEqual(expected)
    expect(heard.filter((command) => command.endsWith('meta'))).toEqual([])
    expect(await take(table)).toMatchObject({ allowed: false, remaining: 0 })
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

it('a key can’t be taken for what a file notes, nor for another one', async () => {
  const table = await quickTable(limits[0] as Algorithm)
  const head = `{"p":[10,1000],"s":"fixed-window/1000","id":"${ONE}","l":[]}`
  const keys = [
    `\u00ff${head}`,
    `\uffff${head}`,
    head,
    '\udcff',
    `\udcff${head}`,
    '\ud800',
    '\udcff\ud800',
    '\ufffd',
  ]
  keys.push('\n', '\r\n', ' ', '\0', '""', '\\', "'", '[]', 'null', '0', '__proto__', '🙂', '\uffffdcff', 'é')
  const alone = async () => {
    const decisions: Decision[] = []
    for (const key of keys) decisions.push(...(await takeEach(table, [key])))
    return decisions
  }
  for (const [turn, way] of [
    alone,
    () => takeEach(table, keys),
    alone,
    () => takeEach(table, keys),
  ].entries())
    expect(await way()).toEqual(
      keys.map(() => expect.objectContaining({ allowed: true, remaining: 9 - turn })),
    )
  expect(await take(table)).toMatchObject({ allowed: true, remaining: 6 })
})

it('more keys than go into one command of a file go the long way', async () => {
  const limit = limits[1] as Algorithm
  const table = await quickTable(limit)
  const keys = Array.from({ length: 2001 }, (_, place) => `key ${place}`)
  const remaining = async (keys: readonly string[]) =>
    (await takeEach(table, keys)).map(({ remaining }) => remaining)
  expect(await remaining(keys.slice(1))).toEqual(keys.slice(1).map(() => 9))
  expect(await commandsOf(async () => expect(await remaining(keys.slice(1))).toContain(8))).not.toContain(
    'HMGET meta',
  )
  expect(await commandsOf(async () => expect(await remaining(keys)).toContain(9))).toContain('HMGET meta')
  expect(await remaining(keys)).toEqual(keys.map((_, place) => (place === 0 ? 8 : 6)))
})

describe.each(ways)('$way of a bucket, which may lie in the file of the slice before', ({ others }) => {
  const limit = limits[2] as Algorithm
  const earlier = () => `${PREFIX}:1:{${name}}:${Math.floor(now / WINDOW)}`
  /** Of which nothing lies there yet. */
  async function fullTable(): Promise<Table> {
    const table = store.open(name, limit)
    for (let time = 0; time < 3; time++) await take(table, 10)
    expect(await opened(limit)).toBe(1)
    expect(await client.exists(earlier())).toBe(0)
    return table
  }

  it('has that end where it is the first in it', async () => {
    const table = await fullTable()
    await takeEach(table, ['new', ...others])
    expect(await client.hkeys(earlier())).toEqual(['new', ...others])
    expect(await client.pttl(earlier())).toBeGreaterThan(0)
  })

  it('is kept where the clock goes back into the slice before', async () => {
    const table = await fullTable()
    const keys = ['new', ...others]
    now = 1_001_005
    await takeEach(table, keys, 5)
    now -= 10
    const back = { deadline: now }
    const all = (expected: Partial<Decision>) => keys.map(() => expect.objectContaining(expected))
    expect(await takeEach(table, keys, 5, back)).toEqual(all({ allowed: true, remaining: 0 }))
    expect(await takeEach(table, keys, 1, back)).toEqual(all({ allowed: false, remaining: 0 }))
    now = 1_002_000
    expect(await takeEach(table, keys, 10)).toEqual(all({ allowed: false }))
    now += 5
    expect(await takeEach(table, keys, 10)).toEqual(all({ allowed: true }))
  })

  it('tells what was given back', async () => {
    const table = await fullTable()
    const keys = ['new', ...others]
    await takeEach(table, keys, 4)
    await exchange(table, [['refund', 'new', 2]])
    const takes = keys.map((key): Operation => ['take', key, 1])
    const heard = await commandsOf(async () => {
      const { given, results } = await exchange(table, takes)
      expect(given).toEqual(new Map([['new', [now, 2]]]))
      expect(results).toMatchObject(keys.map((_, place) => [{ remaining: place === 0 ? 7 : 5 }]))
    })
    expect(heard).not.toContain('HMGET meta')
  })

  it('tells no more of what was given back once that has drained', async () => {
    const table = await fullTable()
    const keys = ['new', ...others]
    await takeEach(table, keys, 4)
    await exchange(table, [['refund', 'new', 2]])
    const takes = keys.map((key): Operation => ['take', key, 1])
    now += 399
    expect((await exchange(table, takes)).given?.get('new')).toEqual([now - 399, 2])
    now = 1_000_100 + 500
    expect((await exchange(table, takes)).given).toBeUndefined()
  })

  it('moves on where it is worth anything in the next slice', async () => {
    const table = await fullTable()
    const keys = ['new', ...others]
    await takeEach(table, keys)
    now += 100
    expect(await takeEach(table, keys, 9)).toEqual(keys.map(() => expect.objectContaining({ remaining: 1 })))
    expect(await client.hlen(earlier())).toBe(keys.length)
    now += 850
    const refused = { allowed: false, remaining: 9, retryAfterMs: 50 }
    expect(await takeEach(table, keys, 10)).toEqual(keys.map(() => expect.objectContaining(refused)))
  })
})

it('so it does where each was taken alone', async () => {
  const table = await quickTable(limits[2] as Algorithm)
  for (let place = 0; place < 40; place++) await takeEach(table, [`user:${place}`])
  expect(await client.object('ENCODING', `${PREFIX}:1:{${name}}:${Math.floor(now / WINDOW)}`)).toBe(
    'hashtable',
  )
})

it('has Redis keep many rows of a bucket as a table in either file, in which none is searched for', async () => {
  const limit = limits[2] as Algorithm
  const table = await quickTable(limit)
  const files = [0, 1].map((later) => `${PREFIX}:1:{${name}}:${Math.floor(now / WINDOW) + later}`)
  const keys = Array.from({ length: 40 }, (_, place) => `user:${place}`)
  await takeEach(table, keys.slice(0, 20))
  expect(await client.object('ENCODING', files[0] as string)).toBe('listpack')
  await takeEach(table, keys.slice(20))
  for (const file of files) expect(await client.object('ENCODING', file)).toBe('hashtable')
})
