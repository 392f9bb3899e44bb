import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, describe, expect, inject, it } from 'vitest'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { fixedWindow } from '../../algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from '../../algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from '../../algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from '../../algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from '../../algorithms/token-bucket/token-bucket.ts'
import { createLimiter } from '../../limiter.ts'
import { LIMIT_KEPT, type Operation, type Request, Snapshot, type Store } from '../store.ts'
import { redisStore } from './redis-store.ts'

const url = inject('redisUrl')
const client = new Redis(url)
const stores: Store[] = []
const node = '0123456789abcdef'
let prefixes = 0

afterAll(async () => {
  for (const store of stores) await store.close()
  client.disconnect()
})

const limits = [
  fixedWindow({ limit: 10, window: '1h' }),
  slidingWindow({ limit: 10, window: '1h' }),
  slidingLog({ limit: 10, window: '1h' }),
  tokenBucket({ capacity: 10, refill: 10, per: '1h' }),
  leakyBucket({ capacity: 10, leak: 10, per: '1h' }),
] as Algorithm[]

function open(now?: () => number): { store: Store; prefix: string } {
  const prefix = `redis-store-test-${prefixes++}`
  const store = redisStore(url, now === undefined ? { prefix } : { prefix, now })
  stores.push(store)
  return { store, prefix }
}

function request(operations: Operation[], rest: Partial<Request> = {}): Request {
  return { node, sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0, operations, ...rest }
}

describe.each(limits)('$algorithm', (limit) => {
  it('counts nothing of a repeated sequence', async () => {
    const table = open().store.open('name', limit)
    await table.exchange(request([['take', 'key', 3]], { sequence: 1 }))
    const again = table.exchange(request([['take', 'key', 3]], { sequence: 1 }))
    await expect(again).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    await table.exchange(request([['take', 'key', 1]], { sequence: 2 }))
    const older = table.exchange(request([['take', 'key', 3]], { sequence: 1 }))
    await expect(older).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    const other = { node: 'fedcba9876543210', sequence: 1 }
    const { results } = await table.exchange(request([['take', 'key', 1]], other))
    expect(results).toMatchObject([[{ allowed: true, remaining: 5 }]])
  })

  it('counts nothing past the deadline', async () => {
    let now = 1_000_000
    const table = open(() => now).store.open('name', limit)
    await table.exchange(request([['take', 'key', 3]], { deadline: now }))
    now++
    const late = table.exchange(request([['take', 'key', 3]], { deadline: now - 1, sequence: 1 }))
    await expect(late).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    // also the sequence was not used up
    const { results } = await table.exchange(request([['take', 'key', 1]], { sequence: 1 }))
    expect(results).toMatchObject([[{ allowed: true, remaining: 6 }]])
  })

  it('keeps hostile keys apart, and all Redis keys under the prefix, with an end', async () => {
    const before = new Set((await client.keysBuffer('*')).map((key) => key.toString('latin1')))
    const { store, prefix } = open()
    const table = store.open('name', limit)
    const keys = ['{x}', '\0', '\n', 'a:b', ':meta', '\ud800', '\udc00', '\uffff', '\ufffd', '*', 'meta', '1']
    keys.push('\uffffd800', 'blocks', ':blocks', 'a', 'b', '\ud800\udc00', '\udc00\ud800', '%', '__proto__')
    for (const [place, key] of keys.entries()) {
      await table.exchange(request([['take', key, 1 + (place % 5)]], { sequence: place + 1, presence: 1000 }))
      await table.exchange(request([['block', key, 60_000 + place]]))
    }
    await table.exchange(request([['refund', keys[1] as string, 1]]))
    await table.exchange(request([['settle', keys[0] as string, 0, 0, [1, 0, 0, 0], [0, 0, 0, 0]]]))
    const read = keys.map((key): Operation => ['read', key])
    const { results, changed } = await table.exchange(request(read, { since: 0 }))
    const snapshots = results as Snapshot[]
    expect(new Set(snapshots.map((snapshot) => snapshot.blockedUntil)).size).toBe(keys.length)
    expect(changed.map((snapshot) => snapshot.key).sort()).toEqual([...keys].sort())
    for (const snapshot of changed) {
      expect(snapshot).toEqual(snapshots[keys.indexOf(snapshot.key)])
    }
    for (const key of keys) await table.exchange(request([['reset', key]]))
    for (const [place, key] of keys.entries()) {
      const decisions = (await table.exchange(request([['take', key, 1 + (place % 5)]]))).results[0]
      expect(decisions).toMatchObject([{ allowed: true, remaining: 9 - (place % 5) }])
      expect(decisions).not.toBeInstanceOf(Snapshot)
    }
    await expectKeys(before, prefix)
  })
})

/** Other tests may write meanwhile: only what bears our name counts, or what bears nobody's. */
async function expectKeys(before: Set<string>, prefix: string): Promise<void> {
  let ours = 0
  for (const key of await client.keysBuffer('*')) {
    const text = key.toString('latin1')
    if (text.startsWith(prefix)) {
      ours++
      expect(await client.pttl(key), text).toBeGreaterThan(0)
    } else if (!before.has(text)) {
      expect(text).toMatch(/^[a-z-]+[0-9]*:/)
    }
  }
  expect(ours).toBeGreaterThan(1)
}

it('refuses another algorithm or window under the same name', async () => {
  const { store } = open()
  await store.open('name', limits[0] as Algorithm).exchange(request([['take', 'key', 1]]))
  const window = fixedWindow({ limit: 10, window: '2h' }) as Algorithm
  for (const other of [window, ...limits.slice(1)]) {
    const exchange = store.open('name', other).exchange(request([['take', 'key', 1]]))
    await expect(exchange).rejects.toMatchObject({ name: 'ConfigError', code: 'ERR_MISMATCH' })
  }
  const limit = fixedWindow({ limit: 20, window: '1h' }) as Algorithm
  const { results } = await store.open('name', limit).exchange(request([['peek', 'key']]))
  expect(results).toMatchObject([[{ remaining: 18 }]])
})

describe.each([
  ['5', Redis5 as unknown as typeof Redis],
  ['6', Redis],
] as const)('an ioredis %s client', (_, Client) => {
  it('is left as it was, and works after the store is closed', async () => {
    const passed = new Client(url, { keyPrefix: 'theirs:' })
    const options = JSON.stringify(passed.options)
    const listeners = passed.eventNames()
    const prefix = `redis-store-test-${prefixes++}`
    const store = redisStore(passed, { prefix })
    const limit = limits[0] as Algorithm
    const { results } = await store.open('name', limit).exchange(request([['take', 'key', 4]]))
    expect(results).toMatchObject([[{ allowed: true, remaining: 6, source: 'store' }]])
    expect(await client.exists(`${prefix}:1:{name}:meta`)).toBe(1)
    await store.close()
    await passed.set(prefix, 'still here', 'PX', 60_000)
    expect(await client.get(`theirs:${prefix}`)).toBe('still here')
    expect(JSON.stringify(passed.options)).toBe(options)
    expect(passed.eventNames()).toEqual(listeners)
    passed.disconnect()
  })
})

it('keeps its marker while nodes are present', async () => {
  const { store, prefix } = open()
  const table = store.open('name', limits[0] as Algorithm)
  const { marker } = await table.exchange(request([], { presence: 5000 }))
  await client.pexpire(`${prefix}:1:{name}:meta`, 60_000)
  const again = await table.exchange(request([], { presence: 5000 }))
  expect(again).toMatchObject({ marker, nodes: 1 })
  expect(await client.pttl(`${prefix}:1:{name}:meta`)).toBeGreaterThan(3 * 3_600_000)
})

it('keeps a limit that was set for 30 days after the name was last used, however long ago that was', async () => {
  const { store, prefix } = open()
  const meta = `${prefix}:1:{name}:meta`
  const limit = fixedWindow({ limit: 10, window: 50 }) as Algorithm
  const table = store.open('name', limit)
  await table.exchange(request([], { limit: [0, 20, 50] }))
  // As it is a month later.
  await client.pexpire(meta, 120_000)
  await table.exchange(request([['take', 'key', 1]], { limit: [] }))
  expect(await client.pttl(meta)).toBeGreaterThan(LIMIT_KEPT)
  // By a plan too, in any later window.
  await client.pexpire(meta, 120_000)
  await new Promise((resolve) => setTimeout(resolve, 60))
  await table.exchange(request([['take', 'key', 1]]))
  expect(await client.pttl(meta)).toBeGreaterThan(LIMIT_KEPT)
})

it.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1m' })],
  ['sliding window', slidingWindow({ limit: 1000, window: '1m' })],
])('%s: rows that a node writes itself are whole beside keys that are no text', async (_, limit) => {
  const broken = ['\ud83d\ud83d', 'ユーザー名\ud83d', '\uFFFF'.repeat(40), '\ud83d'.repeat(341)]
  for (const keys of [...broken.map((key) => [key]), [...broken, 'one', 'two']]) {
    let now = 1_700_000_000_000
    const { store } = open(() => now)
    const soft = createLimiter({ name: 'api', limit, mode: 'soft', store, timeout: '10s' })
    const hard = createLimiter({ name: 'api', limit, store, timeout: '10s' })
    const settle = async () => {
      for (let turn = 0; turn < 3; turn++) {
        for (let check = 0; check < 10; check++) await Promise.all(keys.map((key) => soft.check(key)))
        await soft.flush()
      }
    }
    await settle()
    // The window after it, at its very end.
    now = (Math.floor(now / 60_000) + 1) * 60_000 + 59_999
    await settle()
    const left = await Promise.all(keys.map(async (key) => (await hard.peek(key)).remaining))
    const before = limit.algorithm === 'sliding-window' ? 1 : 0
    expect(left).toEqual(keys.map(() => 1000 - 1 - 30 - before))
    await soft.close()
    await hard.close()
  }
})

it('rows that a node writes itself are each of its key, also where counts end in the same bits', async () => {
  const now = 1_700_000_000_000
  const { store, prefix } = open(() => now)
  const table = store.open('name', fixedWindow({ limit: 10_000, window: '1h' }) as Algorithm)
  const keys = Array.from({ length: 400 }, (_, place) => `key ${place}`)
  const costOf = (place: number) => 1 + (place % 3) * 256 + (place % 50)
  const slice = Math.floor(now / 3_600_000)
  const settles = keys.map((key, place): Operation => {
    return ['settle', key, 0, slice, [costOf(place), 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
  })
  await table.exchange(request(settles))
  const raises = keys.map((key, place): Operation => {
    const cost = costOf(place)
    return ['raise', key, slice, 3 * cost, 0, 0, cost, 0, cost, 0]
  })
  const { results } = await table.exchange(request(raises))
  // They lay as they were seen.
  expect(results.filter((result) => result !== undefined)).toEqual([])
  const rows = await client.hmgetBuffer(`${prefix}:1:{name}:${slice}`, ...keys)
  expect(rows.map((row) => row?.readDoubleBE(8))).toEqual(keys.map((_, place) => 3 * costOf(place)))
})

it('a key that many nodes settle takes sixteen bytes for each of them, and more for those that have booked', async () => {
  const now = 1_700_000_000_000
  const { store, prefix } = open(() => now)
  const table = store.open('name', fixedWindow({ limit: 10_000, window: '1h' }) as Algorithm)
  const slice = Math.floor(now / 3_600_000)
  const none = [0, 0, 0, 0] as const
  const settle = (place: number, most: number) => {
    const node = (0xc0ffee00 + place).toString(16).padStart(16, '0')
    const operation: Operation = ['settle', 'key', 0, slice, [1 + place, 0, 0, 0], none, [place, 1, most, 0]]
    return table.exchange(request([operation], { node }))
  }
  const bytes = () => client.hstrlen(`${prefix}:1:{name}:${slice}`, 'key')
  for (let place = 0; place < 64; place++) await settle(place, 0)
  expect(await bytes()).toBe(85 + 64 * 16)
  await settle(3, 5)
  expect(await bytes()).toBe(85 + 63 * 16 + 32)
})
