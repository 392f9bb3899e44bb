import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from './algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from './algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from './algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
import type { Decision } from './decision.ts'
import { StoreError } from './errors.ts'
import { createLimiter, type SoftLimiter } from './limiter.ts'
import type { LimiterOptions, ScopedOptions } from './options.ts'
import { memoryStore } from './store/memory.ts'
import type { Request, Store, Table } from './store/store.ts'
import { faultyStore } from './testing/faulty-store.ts'
import { ManualClock } from './testing/manual-clock.ts'

/** Milliseconds. */
const ROUND_TRIP = 10
const INTERVAL = 100

interface Command {
  readonly keys: readonly string[]
  answered: number
}

/** A node's way to a store, on which it is noted which keys of which table each command carried, and until when. */
function noting(clock: ManualClock, far: Store) {
  const commands: Command[] = []
  const note = (name: string, { operations }: Request): Command => {
    const keys = operations.map(([, key]) => `${name}/${key}`)
    const command = { keys, answered: Infinity }
    commands.push(command)
    return command
  }
  const store: Store = {
    open: (name, limit) => {
      const table = far.open(name, limit)
      const exchange: Table['exchange'] = async (request) => {
        const command = note(name, request)
        const reply = await table.exchange(request)
        command.answered = clock.monotonic()
        return reply
      }
      return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
    },
    close: () => far.close(),
  }
  return { store, commands }
}

const MODES: Record<string, Partial<LimiterOptions>> = {
  soft: { mode: 'soft', sync: { interval: INTERVAL } },
  'soft with maxOvershoot': { mode: 'soft', sync: { interval: INTERVAL, maxOvershoot: 0.2 } },
  leased: { mode: 'leased', sync: { interval: INTERVAL } },
}

/** What a check is made of: on a node, of these keys. */
interface Asked {
  check(place: number, cost: number): Promise<Decision>
  /** What the check's limits have as keys, as in a command. */
  keysOf(place: number): string[]
  close(): Promise<void>
}

const LISTS = fc.uniqueArray(
  fc
    .tuple(fc.nat(4), fc.integer({ min: 2, max: 20 }), fc.constantFrom(200, 1000, 5000))
    .map(([kind, limit, window]) =>
      [
        fixedWindow({ limit, window }),
        slidingWindow({ limit, window }),
        slidingLog({ limit, window }),
        tokenBucket({ capacity: limit, refill: limit, per: window }),
        leakyBucket({ capacity: limit, leak: limit, per: window }),
      ].at(kind),
    )
    .map((limit) => limit ?? fixedWindow({ limit: 2, window: 200 })),
  {
    minLength: 2,
    maxLength: 3,
    selector: ({ algorithm, limit, window }) => `${algorithm} ${limit} ${window}`,
  },
)

const PLACES = 4
const USERS = ['1', '2']
const ADDRESSES = ['x', 'y']

function ofList(limit: readonly object[], options: object): Asked {
  const limiter = createLimiter({ name: 'api', limit, ...options } as LimiterOptions<'soft'>) as SoftLimiter
  const key = (place: number) => USERS[place % 2] as string
  return {
    check: (place, cost) => limiter.check(key(place), { cost }),
    keysOf: (place) => limit.map((_, at) => `api${at === 0 ? '' : `~${at + 1}`}/${key(place)}`),
    close: () => limiter.close(),
  }
}

/** What the limits refuse may pass out of a reserve, which is small too. */
function withReserve(limit: readonly object[], options: object): Asked {
  const list = ofList(limit, { ...options, spike: { extra: 6, per: '2s' } })
  return { ...list, keysOf: (place) => [...list.keysOf(place), `api~spike/${USERS[place % 2]}`] }
}

function oneWithReserve([limit]: readonly object[], options: object): Asked {
  return withReserve([limit as object], options)
}

/** Two scopes, of which each pair of users shares an address, and the other way round. */
function ofScopes([user, ip]: readonly object[], options: object): Asked {
  const scopes = { user, ip }
  const limiter = createLimiter({ name: 'api', scopes, ...options } as ScopedOptions<'user' | 'ip', 'soft'>)
  const its = (place: number) => [USERS[place % 2] as string, ADDRESSES[place >> 1] as string] as const
  return {
    check: (place, cost) => limiter.check({ user: its(place)[0], ip: its(place)[1] }, { cost }),
    keysOf: (place) => [`api~user/${its(place)[0]}`, `api~ip/${its(place)[1]}`],
    close: () => limiter.close(),
  }
}

const step = fc.record({
  wait: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(12), fc.nat(60), fc.nat(600)),
  node: fc.nat(2),
  place: fc.nat(PLACES - 1),
  cost: fc.integer({ min: 1, max: 4 }),
})

interface Made {
  readonly keys: readonly string[]
  readonly from: number
  /** The node's commands then. */
  readonly underWay: readonly Command[]
  until: number
  readonly decision: Promise<Decision>
}

/** A round trip after the check was made; behind the commands that were under way with its keys then, if there were. */
function latestFor({ keys, from, underWay }: Made): number {
  let latest = from
  for (const { keys: theirs, answered } of underWay)
    if (keys.some((key) => theirs.includes(key))) latest = Math.max(latest, answered)
  return latest + ROUND_TRIP
}

describe.each(Object.entries(MODES))('%s', (_, mode) => {
  it.each([
    ['lists', ofList],
    ['scopes', ofScopes],
    ['a limit with a reserve', oneWithReserve],
    ['lists with a reserve', withReserve],
  ] as const)(
    '%s: a check waits for one round trip at most, behind the one under way with its keys',
    async (_, make) => {
      const property = fc.asyncProperty(LISTS, fc.array(step, { maxLength: 40 }), async (limits, steps) => {
        const clock = new ManualClock(1_000_000)
        const far = faultyStore(memoryStore({ clock }), { clock, latency: ROUND_TRIP / 2 })
        const nodes = [0, 1, 2].map(() => {
          const { store, commands } = noting(clock, far)
          return { asked: make(limits, { store, clock, random: () => 0.5, ...mode }), commands }
        })
        const made: Made[] = []
        for (const { wait, node, place, cost } of steps) {
          await clock.advance(wait)
          const { asked, commands } = nodes[node]!
          const one: Made = {
            keys: asked.keysOf(place),
            from: clock.monotonic(),
            underWay: commands.filter(({ answered }) => answered === Infinity),
            until: Infinity,
            decision: asked.check(place, cost),
          }
          one.decision.then(() => {
            one.until = clock.monotonic()
          })
          made.push(one)
        }
        await clock.advance(10 * ROUND_TRIP)
        for (const one of made) {
          expect(one.until, JSON.stringify(one)).toBeLessThanOrEqual(latestFor(one))
          expect((await one.decision).reason).not.toBe('sync')
        }
        await Promise.all([...nodes.map((one) => one.asked.close()), clock.advance(1000)])
      })
      await fc.assert(property, { numRuns: fc.readConfigureGlobal().numRuns as number })
    },
  )

  it('a reserve that was asked for nothing is there for other nodes', async () => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const store = faultyStore(memory, { clock, latency: ROUND_TRIP / 2 })
    const made = { name: 'api', limit: fixedWindow({ limit: 10, window: '1h' }), clock }
    const spike = { extra: 1, per: '1h' }
    const node = () =>
      createLimiter({ ...made, spike, store, random: () => 0.5, ...mode } as LimiterOptions<'soft'>)
    const [one, two] = [node(), node()]
    const first = one.check('a')
    await clock.advance(ROUND_TRIP)
    expect(await first).toMatchObject({ allowed: true })
    const hard = createLimiter({ ...made, store: memory })
    await hard.penalty('a', 9)
    await clock.advance(INTERVAL)
    const last = two.check('a')
    await clock.advance(ROUND_TRIP)
    expect(await last).toMatchObject({ allowed: true, spike: true })
    await Promise.all([one.close(), two.close(), hard.close(), clock.advance(1000)])
  })

  it('a reserve that does not answer is no matter where the limits allow a check', async () => {
    const clock = new ManualClock(1_000_000)
    const far = faultyStore(memoryStore({ clock }), { clock, latency: ROUND_TRIP / 2 })
    const store: Store = {
      open: (name, limit) => {
        const table = far.open(name, limit)
        const lost = async () => {
          throw new StoreError('ERR_STORE_REPLY', 'the table is not there')
        }
        const exchange: Table['exchange'] = name === 'api' ? (request) => table.exchange(request) : lost
        return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
      },
      close: () => far.close(),
    }
    const limit = fixedWindow({ limit: 1, window: '1h' })
    const spike = { extra: 1, per: '1h' }
    const options = { name: 'api', limit, spike, store, clock, onOutage: 'throw', timeout: 100, ...mode }
    const node = createLimiter(options as LimiterOptions<'soft'>)
    const checks = Promise.allSettled([node.check('a'), node.check('a')])
    await clock.advance(200)
    expect(await checks).toMatchObject([
      { status: 'fulfilled', value: { allowed: true } },
      { status: 'rejected', reason: { code: 'ERR_STORE_REPLY' } },
    ])
    await Promise.all([node.close(), clock.advance(1000)])
  })

  const LONG = '365d'
  const KINDS = {
    'fixed windows': (limit: number) => fixedWindow({ limit, window: LONG }),
    'sliding windows': (limit: number) => slidingWindow({ limit, window: LONG }),
    'sliding logs': (limit: number) => slidingLog({ limit, window: LONG }),
    'token buckets': (limit: number) => tokenBucket({ capacity: limit, refill: limit, per: LONG }),
    'leaky buckets': (limit: number) => leakyBucket({ capacity: limit, leak: limit, per: LONG }),
  }

  it.each(Object.entries(KINDS))(
    '%s: what was asked for a check is there for it, whoever else asks meanwhile',
    async (_, kind) => {
      const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = new ManualClock(1_000_000)
        const store = faultyStore(memoryStore({ clock }), { clock, latency: ROUND_TRIP / 2 })
        const node = ofScopes([kind(30), kind(40)], { store, clock, random: () => 0.5, ...mode })
        const left = new Map<string, number>([
          ...USERS.map((user) => [user, 30] as const),
          ...ADDRESSES.map((ip) => [ip, 40] as const),
        ])
        const checks: Promise<Decision>[] = []
        for (const { wait, place, cost } of steps) {
          await clock.advance(wait)
          const its = [USERS[place % 2] as string, ADDRESSES[place >> 1] as string]
          if (its.some((one) => (left.get(one) as number) < cost)) continue
          for (const one of its) left.set(one, (left.get(one) as number) - cost)
          checks.push(node.check(place, cost))
        }
        await clock.advance(10 * ROUND_TRIP)
        for (const check of checks) expect((await check).allowed).toBe(true)
        await Promise.all([node.close(), clock.advance(1000)])
      })
      await fc.assert(property, { numRuns: fc.readConfigureGlobal().numRuns as number })
    },
  )

  it.each(Object.entries(KINDS))(
    '%s: what was held counts once, also where it was taken by an earlier reading of the clock',
    async (_, kind) => {
      const clock = Object.assign(new ManualClock(1_000_000), {
        // A turn of the event loop that takes some milliseconds: its checks share a reading.
        afterTurn: (callback: () => void) => void clock.setTimer(callback, 5),
      })
      const memory = memoryStore({ clock })
      const open: Store['open'] = (name, ...more) =>
        faultyStore(memory, { clock, latency: name === 'api~ip' ? 20 : 1 }).open(name, ...more)
      const store: Store = { open, close: () => memory.close() }
      const node = ofScopes([kind(40), kind(40)], { store, clock, random: () => 0.5, ...mode })
      const left: (number | undefined)[] = []
      const check = async (place: number, cost: number) => {
        const { parts } = await node.check(place, cost)
        left.push(parts?.[0]?.remaining)
      }
      await Promise.all([check(0, 4), clock.advance(100)])
      // Of the same address as before they need not wait.
      for (let turn = 0; turn < 3; turn++) void check(0, 1)
      await clock.advance(2)
      await Promise.all([check(2, 1), clock.advance(100)])
      await Promise.all([check(0, 1), clock.advance(100)])
      expect(left).toEqual([36, 35, 34, 33, 32, 31])
      await Promise.all([node.close(), clock.advance(1000)])
    },
  )

  it.each(Object.entries(KINDS))(
    '%s: a check that one scope refuses makes nobody else be refused',
    async (_, kind) => {
      const clock = new ManualClock(1_000_000)
      const memory = memoryStore({ clock })
      const store = faultyStore(memory, { clock, latency: ROUND_TRIP / 2 })
      const scopes = { user: kind(1), ip: kind(20) }
      const hard = createLimiter({ name: 'api', scopes, store: memory, clock })
      for (let user = 0; user < 20; user++) await hard.check({ user: `full${user}` })
      const made = { name: 'api', scopes, store, clock, random: () => 0.5, ...mode } as ScopedOptions<
        'user' | 'ip',
        'soft'
      >
      const limiter = createLimiter(made)
      const passed: Promise<Decision>[] = []
      const refused: Promise<Decision>[] = []
      for (let user = 0; user < 20; user++) {
        // Of the last of them the refused ones hold all that is left of the address.
        const ip = 'x'
        refused.push(limiter.check({ user: `full${user}`, ip }))
        passed.push(limiter.check({ user: `${user}`, ip }))
        await clock.advance(user % 3 === 0 ? 3 : 30)
      }
      await clock.advance(10 * ROUND_TRIP)
      for (const check of refused) expect(await check).toMatchObject({ allowed: false })
      for (const [user, check] of passed.entries())
        expect([user, await check]).toMatchObject([user, { allowed: true }])
      expect((await hard.peek({ ip: 'x' })).remaining).toBe(0)
      const closing = limiter.close()
      await clock.advance(1000)
      await closing
      await hard.close()
    },
  )

  it('tells the store of as much demand as a limit by itself does, and of none where another limit refuses', async () => {
    const told = async (limit: object, full: boolean) => {
      const clock = new ManualClock(1_000_000)
      const memory = memoryStore({ clock })
      const far = faultyStore(memory, { clock, latency: ROUND_TRIP / 2 })
      const demands: number[] = []
      const store: Store = {
        open: (name, its) => {
          const table = far.open(name, its)
          const exchange: Table['exchange'] = (request) => {
            if (name === 'api')
              for (const operation of request.operations) {
                const ask = operation[0] === 'read' ? operation[2] : operation[6]
                if (Array.isArray(ask)) demands.push(ask[0] as number)
              }
            return table.exchange(request)
          }
          return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
        },
        close: () => far.close(),
      }
      // Another node, so that demand is told of.
      const other = createLimiter({
        name: 'api',
        limit,
        store: far,
        clock,
        ...mode,
      } as LimiterOptions<'soft'>)
      const node = createLimiter({ name: 'api', limit, store, clock, ...mode } as LimiterOptions<'soft'>)
      if (full) await Promise.all([node.penalty('a', 1000), clock.advance(20)])
      for (let turn = 0; turn < 200; turn++) {
        for (let check = 0; check < 3; check++) void node.check('a')
        if (!full) void other.check('a')
        await clock.advance(7)
      }
      await Promise.all([node.close(), other.close(), clock.advance(1000)])
      return { most: Math.max(...demands), last: demands.at(-1) as number }
    }
    const one = fixedWindow({ limit: 400, window: '1s' })
    const alone = await told(one, false)
    const listed = await told([one, fixedWindow({ limit: 1_000_000, window: '1h' })], false)
    expect(alone.most).toBeGreaterThan(1_000_000)
    expect(listed.most / alone.most).toBeGreaterThan(0.9)
    expect(listed.most / alone.most).toBeLessThan(1.1)
    // Those at first, of which it was not known yet that they are refused.
    const few = [fixedWindow({ limit: 5000, window: '1s' }), fixedWindow({ limit: 10, window: '1h' })]
    expect((await told(few, true)).last).toBeLessThan(alone.most / 5)
  })
})

describe('hard, on a store that can take of each limit by itself only', () => {
  const LIMITS = {
    'a limit': fixedWindow({ limit: 3, window: '1h' }),
    'a list': [fixedWindow({ limit: 3, window: '1h' }), slidingWindow({ limit: 4, window: '1h' })],
  }

  it.each(Object.entries(LIMITS))(
    '%s with a reserve: a check waits for one round trip, as a peek does, and takes of the limits or of the reserve',
    async (_, limit) => {
      const clock = new ManualClock(1_000_000)
      const memory = memoryStore({ clock })
      const far = faultyStore(memory, { clock, latency: ROUND_TRIP / 2 })
      const made = { name: 'api', limit, spike: { extra: 4, per: '1h' }, clock }
      const limiter = createLimiter({ ...made, store: noting(clock, far).store })
      const answered = async (asked: Promise<Decision>) => {
        let decision: Decision | undefined
        void asked.then((its) => {
          decision = its
        })
        await clock.advance(ROUND_TRIP)
        expect(decision).toBeDefined()
        // What is of no use goes back behind it.
        await clock.advance(ROUND_TRIP)
        return decision as Decision
      }
      const check = (cost: number) => answered(limiter.check('a', { cost }))
      expect(await answered(limiter.peek('a'))).not.toHaveProperty('spike')
      expect(await check(3)).toMatchObject({ allowed: true })
      expect((await answered(limiter.peek('a'))).spike).toBe(true)
      expect((await check(3)).spike).toBe(true)
      expect(await check(2)).toMatchObject({ allowed: false, reason: 'limit' })
      expect(await check(4)).toMatchObject({ allowed: false, reason: 'cost' })
      expect((await check(1)).spike).toBe(true)
      expect(await check(1)).toMatchObject({ allowed: false, reason: 'limit' })
      await Promise.all([limiter.close(), clock.advance(1000)])
      const counted = createLimiter({ ...made, store: memory })
      await counted.refund('a', 3)
      expect(await counted.check('a', { cost: 3 })).not.toHaveProperty('spike')
      expect(await counted.check('a')).toMatchObject({ allowed: false, reason: 'limit' })
      await counted.close()
    },
  )

  it('scopes are all asked at the same time, also where one refuses', async () => {
    const clock = new ManualClock(1_000_000)
    const far = faultyStore(memoryStore({ clock }), { clock, latency: ROUND_TRIP / 2 })
    const limit = fixedWindow({ limit: 1, window: '1h' })
    const scopes = { user: limit, ip: limit, all: fixedWindow({ limit: 9, window: '1h' }) }
    const limiter = createLimiter({ name: 'api', scopes, clock, store: noting(clock, far).store })
    const check = async (user: string, ip: string) => {
      let decision: Decision | undefined
      void limiter.check({ user, ip, all: '*' }).then((its) => {
        decision = its
      })
      await clock.advance(ROUND_TRIP)
      return decision
    }
    expect(await check('a', 'x')).toMatchObject({ allowed: true })
    expect(await check('b', 'x')).toMatchObject({ allowed: false, name: 'ip' })
    await clock.advance(ROUND_TRIP)
    expect(await check('b', 'y')).toMatchObject({ allowed: true, name: 'user' })
    await Promise.all([limiter.close(), clock.advance(1000)])
  })

  it('a reserve that does not answer is no matter where the limits allow a check', async () => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const store: Store = {
      open: (name, limit) => {
        const table = memory.open(name, limit)
        const exchange: Table['exchange'] = async (request) => {
          if (name !== 'api') throw new StoreError('ERR_STORE_REPLY', 'the table is not there')
          return table.exchange(request)
        }
        return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
      },
      close: () => memory.close(),
    }
    const limit = fixedWindow({ limit: 1, window: '1h' })
    const spike = { extra: 1, per: '1h' }
    const limiter = createLimiter({ name: 'api', limit, spike, store, clock, onOutage: 'throw' })
    expect(await limiter.peek('a')).toMatchObject({ allowed: true, source: 'store' })
    expect(await limiter.check('a')).toMatchObject({ allowed: true, source: 'store' })
    await expect(limiter.check('a')).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    await expect(limiter.peek('a')).rejects.toMatchObject({ code: 'ERR_STORE_REPLY' })
    expect(await limiter.check('b', { cost: 2 })).toMatchObject({ allowed: false, reason: 'cost' })
    await limiter.close()
  })
})
