import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  createLimiter,
  type Duration,
  fixedWindow,
  type Mode,
  type ScopeKeys,
  type Store,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { seededRandom } from '@spillway/core/testing'
import { type RedisCluster, startCluster } from '@spillway/redis-server'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'

const ENDLESS = '365d'
const MODES: readonly Mode[] = ['hard', 'soft', 'leased']

let servers: RedisCluster
let client: Cluster
/** By which the test itself looks at the counts. */
let looking: Store
const closing: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  servers = await startCluster()
  client = new Cluster(servers.addresses, { slotsRefreshTimeout: 5000 })
  looking = ofServers()
})

afterAll(async () => {
  await Promise.all(closing.map((close) => close()))
  client.disconnect()
  await servers[Symbol.asyncDispose]()
})

/** Three scopes of a limiter whose counts lie on three servers. */
async function scopesApart(name: string): Promise<[string, string, string]> {
  const found = new Map<string, string>()
  for (let place = 0; found.size < 3; place++) {
    const slot = Number(await servers.members[0]?.admin.cluster('KEYSLOT', `${name}~s${place}`))
    const { id } = await servers.ownerOf(slot)
    if (!found.has(id)) found.set(id, `s${place}`)
  }
  return [...found.values()] as [string, string, string]
}

function node(
  name: string,
  mode: Mode,
  limits: Record<string, number>,
  window: Duration = ENDLESS,
  store = ofServers(),
) {
  const scopes = Object.fromEntries(
    Object.entries(limits).map(([scope, limit]) => [scope, fixedWindow({ limit, window })]),
  )
  const sync = mode === 'hard' ? {} : { sync: { interval: '100ms' } }
  const limiter = createLimiter({ name, mode, scopes, store, timeout: '5s', ...sync })
  closing.push(() => limiter.close())
  return limiter
}

/** @param shards of each limiter; one: each scope lies on one server */
function ofServers(shards = 1): Store {
  const store = redisStore(client, { shards })
  closing.push(() => store.close())
  return store
}

/** What the servers count of a key in each scope. */
async function counts(name: string, keys: ScopeKeys, store = looking): Promise<Record<string, number>> {
  const LARGE = 1_000_000
  const limits = Object.fromEntries(Object.keys(keys).map((scope) => [scope, LARGE]))
  const { parts = [] } = await node(name, 'hard', limits, ENDLESS, store).peek(keys)
  return Object.fromEntries(parts.map((part) => [part.name, LARGE - 1 - part.remaining]))
}

class Tally {
  private readonly ofKey = new Map<string, number>()

  add(keys: ScopeKeys): void {
    for (const pair of Object.entries(keys)) {
      const id = JSON.stringify(pair)
      this.ofKey.set(id, (this.ofKey.get(id) ?? 0) + 1)
    }
  }

  /** Each scope and key of which anything was admitted, with how much that was. */
  *[Symbol.iterator](): Generator<[scope: string, key: string, admitted: number]> {
    for (const [id, admitted] of this.ofKey) yield [...(JSON.parse(id) as [string, string]), admitted]
  }
}

it.each(MODES.flatMap((mode) => [1, 16].map((shards) => [mode, shards] as const)))(
  '%s: takes on three servers of all scopes or of none, in %i shards',
  async (mode, shards) => {
    const name = `apart-${mode}-${shards}`
    const [user, ip, global] = await scopesApart(name)
    const limits = { [user]: 4, [ip]: 7, [global]: 14 }
    const nodes = Array.from({ length: 3 }, () => node(name, mode, limits, ENDLESS, ofServers(shards)))
    const its = ofServers(shards)
    const random = seededRandom(5)
    const pick = (count: number) => `${Math.floor(random() * count)}`
    const admitted = new Tally()
    const refusing = new Map<string | undefined, number>()
    for (let round = 0; round < 20; round++) {
      const checks = Array.from({ length: 12 }, async (_, turn) => {
        const keys = { [user]: pick(8), ...(pick(4) === '0' ? {} : { [ip]: pick(4) }), [global]: pick(2) }
        const { allowed, reason, name } = await (nodes[turn % 3] as (typeof nodes)[0]).check(keys)
        if (allowed) admitted.add(keys)
        else {
          expect(reason).toBe('limit')
          refusing.set(name, (refusing.get(name) ?? 0) + 1)
        }
      })
      await Promise.all(checks)
    }
    await Promise.all(nodes.map((limiter) => limiter.close()))
    // When a soft node hears of the others, and so which scope refuses first, is a matter of time.
    if (mode !== 'soft') expect([...refusing.keys()].sort()).toEqual([user, ip, global].sort())
    else expect(refusing.size).toBeGreaterThan(0)
    for (const [scope, key, cost] of admitted) {
      expect([key, await counts(name, { [scope]: key }, its)]).toEqual([key, { [scope]: cost }])
      if (mode !== 'soft') expect(cost).toBeLessThanOrEqual(limits[scope] as number)
    }
  },
)

it('hard: gives back what the others took where one refuses; others may be refused until then', async () => {
  const name = 'giving-back'
  const [user, ip, global] = await scopesApart(name)
  const limits = { [user]: 1, [ip]: 2, [global]: 2 }
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const slow = node(name, 'hard', limits, ENDLESS, {
    shards: looking.shards as number,
    open: (...call) => {
      const table = looking.open(...call)
      return {
        known: true,
        now: () => table.now(),
        latest: () => table.latest(),
        exchange: async (request) => {
          if (request.operations.some(([what]) => what === 'refund')) await opened
          return table.exchange(request)
        },
      }
    },
    close: async () => {},
  })
  const other = node(name, 'hard', limits)
  const keys = { [user]: 'a', [ip]: 'a', [global]: '*' }
  expect((await slow.check(keys)).allowed).toBe(true)
  expect(await slow.check(keys)).toMatchObject({ allowed: false, name: user })
  const others = { [user]: 'b', [ip]: 'b', [global]: '*' }
  expect(await other.check(others)).toMatchObject({ allowed: false, name: global })
  await other.flush()
  expect(await counts(name, keys)).toEqual({ [user]: 1, [ip]: 2, [global]: 2 })
  expect(await counts(name, others)).toEqual({ [user]: 0, [ip]: 0, [global]: 2 })
  open()
  await slow.flush()
  expect(await counts(name, keys)).toEqual({ [user]: 1, [ip]: 1, [global]: 1 })
  expect((await other.check(others)).allowed).toBe(true)
})

/** A process that checks without an end, until it is killed by this one or by itself; what it said was admitted. */
async function killed(options: Record<string, unknown>, after = Infinity): Promise<ScopeKeys[]> {
  const file = fileURLToPath(new URL('./scopes-node.ts', import.meta.url))
  const numbers = JSON.stringify({ addresses: servers.addresses, ...options })
  const child = spawn(
    process.execPath,
    ['--conditions', '@spillway/source', '--import', 'tsx', file, numbers],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const ended = once(child, 'close')
  closing.push(async () => child.kill('SIGKILL'))
  const said: ScopeKeys[] = []
  for await (const line of createInterface(child.stdout)) {
    said.push(JSON.parse(line))
    if (said.length === after) child.kill('SIGKILL')
  }
  expect((await ended)[1]).toBe('SIGKILL')
  return said
}

it.each(['hard', 'leased'] as const)(
  '%s: of a killed process no less is counted than it admitted',
  async (mode) => {
    const name = `killed-${mode}`
    const [user, ip, global] = await scopesApart(name)
    const limits = { [user]: 3, [ip]: 4, [global]: 5 }
    const numbers = Object.fromEntries(
      Object.entries(limits).map(([scope, limit]) => [scope, { limit, window: ENDLESS }]),
    )
    const lives = [1, 9, 25].map((after, seed) =>
      killed({ name, mode, limits: numbers, users: 30, workers: 4, seed }, after),
    )
    const admitted = new Tally()
    for (const said of await Promise.all(lives)) for (const keys of said) admitted.add(keys)
    for (const [scope, key, cost] of admitted) {
      const counted = (await counts(name, { [scope]: key }))[scope] as number
      expect(counted, `${scope} ${key}`).toBeGreaterThanOrEqual(cost)
      expect(counted, `${scope} ${key}`).toBeLessThanOrEqual(limits[scope] as number)
    }
  },
)

it('hard: what a killed process could not give back is lost until it expires', async () => {
  const name = 'killed-giving-back'
  const [user, ip, global] = await scopesApart(name)
  const limits = {
    [user]: { limit: 1, window: ENDLESS },
    [ip]: { limit: 9, window: ENDLESS },
    [global]: { limit: 2, window: '2s' },
  }
  const options = { name, mode: 'hard', limits, seed: 1, users: 1, workers: 1 }
  expect(await killed({ ...options, diesGivingBack: true })).toEqual([
    { [user]: '0', [ip]: '0', [global]: '0' },
  ])
  expect(await counts(name, { [user]: '0', [ip]: '0' })).toEqual({ [user]: 1, [ip]: 2 })
  const other = node(name, 'hard', { [global]: 2 }, '2s')
  expect((await other.acquire({ [global]: '0' }, { cost: 2, maxWait: '5s' })).allowed).toBe(true)
})

it('a command past its deadline counts nothing, also where its slot has moved: what is left of a file lasts anew there', async () => {
  const name = 'moved'
  const limit = fixedWindow({ limit: 1000, window: '24h' }) as Parameters<Store['open']>[1]
  const table = ofServers().open(name, limit)
  const file = (slice: number) => `spillway:1:{${name}}:${slice}`
  const { admin } = await servers.ownerOf(Number(await servers.members[0]?.admin.cluster('KEYSLOT', name)))
  const time = async () => {
    const [seconds, micros] = await admin.time()
    return Math.floor(Number(seconds) * 1000 + Number(micros) / 1000)
  }
  let sequence = 0
  const take = async (deadline: number) => {
    const once = {
      node: '00000000000000a1',
      sequence: ++sequence,
      deadline,
      since: -1,
      presence: 0,
      extra: 0,
    }
    return table.exchange({ ...once, limit: [], operations: [['take', 'key', 1]] }).then(
      ({ results }) => (results[0] as readonly { remaining: number }[])[0]?.remaining,
      ({ code }) => code,
    )
  }
  for (let times = 1; times <= 3; times++) expect(await take((await time()) + 5000)).toBe(1000 - times)
  const moved = file(Math.floor((await time()) / limit.window))
  expect(Number(await admin.hget(moved, ''))).toBe(1)
  // As MIGRATE does, of a file that takes as long to move.
  const left = await admin.pttl(moved)
  const dump = await admin.dumpBuffer(moved)
  await admin.restore(moved, left + 10_000, dump, 'REPLACE')
  expect(await take((await time()) - 1000)).toBe('ERR_STORE_TIMEOUT')
  expect(await take((await time()) + 5000)).toBe(996)
})
