import fc from 'fast-check'
import { expect, it } from 'vitest'
import { farStore } from '../test/far-store.ts'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from './algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from './algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from './algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
import type { Decision } from './decision.ts'
import { ConfigError } from './errors.ts'
import type { Limits } from './limit-parts.ts'
import { createLimiter } from './limiter.ts'
import type { Mode } from './options.ts'
import { memoryStore } from './store/memory.ts'
import type { JointTable, Store, Table } from './store/store.ts'
import { faultyStore } from './testing/faulty-store.ts'
import { ManualClock } from './testing/manual-clock.ts'

const modes: readonly Mode[] = ['hard', 'soft', 'leased']
const minute = (limit: number) => fixedWindow({ limit, window: '1m' })
const day = (limit: number) => slidingWindow({ limit, window: '1d' })

/** Clock and store that several nodes share. */
function world() {
  const clock = new ManualClock()
  return { clock, store: memoryStore({ clock }) }
}

it.each(modes)('%s: takes of all limits or of none, and names the one that binds', async (mode) => {
  const limiter = createLimiter({ name: 'api', mode, limit: [minute(2), day(5)], ...world() })
  const first = await limiter.check('a')
  expect(first).toMatchObject({ allowed: true, name: '2-per-1m', limit: 2, remaining: 1 })
  expect(first.parts).toMatchObject([
    { name: '2-per-1m', algorithm: 'fixed-window', window: 60_000, remaining: 1 },
    { name: '5-per-1d', algorithm: 'sliding-window', window: 86_400_000, remaining: 4 },
  ])
  await limiter.check('a')
  for (let turn = 0; turn < 5; turn++)
    expect(await limiter.check('a')).toMatchObject({ allowed: false, reason: 'limit', name: '2-per-1m' })
  await limiter.flush()
  expect((await limiter.peek('a')).parts).toMatchObject([{ remaining: 0 }, { remaining: 3 }])
  await limiter.close()
})

it('a scope may be called as what a limit has', async () => {
  const scopes = { take: minute(2), algorithm: minute(3) }
  const limiter = createLimiter({ name: 'api', scopes, ...world() })
  const chosen = { limit: { take: minute(1) } }
  expect(await limiter.check({ take: 'a', algorithm: 'b' }, chosen)).toMatchObject({
    allowed: true,
    limit: 1,
  })
  expect(await limiter.check({ take: 'a' })).toMatchObject({ allowed: true, name: 'take', remaining: 0 })
  await limiter.close()
})

it.each(modes)('%s: decides over all scopes that are named', async (mode) => {
  const scopes = { user: minute(2), ip: minute(3), global: day(100) }
  const limiter = createLimiter({ name: 'api', mode, scopes, ...world() })
  const ip = '203.0.113.7'
  for (const user of ['1', '1', '2'])
    expect((await limiter.check({ user, ip, global: '*' })).allowed).toBe(true)
  expect(await limiter.check({ user: '2', ip })).toMatchObject({ allowed: false, name: 'ip' })
  await limiter.flush()
  // The refusal charged user 2 nothing.
  expect(await limiter.check({ user: '2' })).toMatchObject({ allowed: true, name: 'user', remaining: 0 })
  expect(await limiter.check({ user: '1' })).toMatchObject({ allowed: false, name: 'user' })
  expect((await limiter.peek({ global: '*' })).remaining).toBe(96)
  await limiter.close()
})

it.each(modes)('%s: what a node peeks at, another one can still take all of', async (mode) => {
  const scopes = { user: minute(3), ip: minute(3) }
  const shared = { name: 'api', mode, scopes, ...world() }
  const [one, two] = [createLimiter(shared), createLimiter(shared)]
  const key = { user: '1', ip: '203.0.113.7' }
  for (let turn = 0; turn < 3; turn++)
    expect(await one.peek(key)).toMatchObject({ allowed: true, remaining: 2 })
  expect(await two.check(key, { cost: 3 })).toMatchObject({ allowed: true, remaining: 0 })
  await one.close()
  await two.close()
})

it('refuses keys that no scope knows', async () => {
  const limiter = createLimiter({ name: 'api', scopes: { user: minute(2) } })
  const check = limiter.check.bind(limiter) as (key: unknown) => Promise<Decision>
  for (const key of [{ usr: '1' }, {}, { user: undefined }, { user: 5 }, '1', null, undefined])
    await expect(check(key)).rejects.toMatchObject({ code: 'ERR_KEY' })
  await expect(check({ user: 5 })).rejects.toThrow('the key of the scope "user" is 5: give a string')
  expect(limiter.stats().storeCalls).toBe(0)
  await limiter.close()
})

it('checkSync takes of all or of none', async () => {
  const limiter = createLimiter({ name: 'api', mode: 'soft', limit: [minute(1), day(5)], ...world() })
  expect(limiter.checkSync('a').allowed).toBe(true)
  expect(limiter.checkSync('a')).toMatchObject({ allowed: false, name: '1-per-1m' })
  await limiter.flush()
  expect((await limiter.peek('a')).parts).toMatchObject([{ remaining: 0 }, { remaining: 4 }])
  await limiter.close()
})

it('hard: what can no longer be given back stays taken, and troubles nobody', async () => {
  const { clock, store } = world()
  const closing = farStore(store, async (table, request) => {
    if (request.operations.some(([what]) => what === 'refund')) throw new ConfigError('ERR_CLOSED', 'closed')
    return table.exchange(request)
  })
  const limiter = createLimiter({ name: 'api', limit: [minute(1), day(5)], store: closing, clock })
  await limiter.check('a')
  expect((await limiter.check('a')).allowed).toBe(false)
  await limiter.flush()
  expect((await limiter.peek('a')).parts).toMatchObject([{ remaining: 0 }, { remaining: 3 }])
  await limiter.close()
})

it('hard: what a bucket took for a check that was refused elsewhere goes back to it, however fast it drains', async () => {
  const { clock, store } = world()
  const far = farStore(store, async (table, request) => {
    if (request.operations.some(([what]) => what === 'refund')) await clock.advance(5)
    return table.exchange(request)
  })
  const scopes = { user: minute(1), global: tokenBucket({ capacity: 1000, refill: 1000, per: '1s' }) }
  const limiter = createLimiter({ name: 'api', scopes, store: far, clock })
  expect((await limiter.check({ user: 'a' })).allowed).toBe(true)
  await limiter.check({ global: '*' }, { cost: 500 })
  for (let turn = 1; turn <= 10; turn++) {
    expect(await limiter.check({ user: 'a', global: '*' })).toMatchObject({ allowed: false, name: 'user' })
    await limiter.flush()
    expect((await limiter.peek({ global: '*' })).remaining).toBe(499 + 5 * turn)
  }
  await limiter.close()
})

it('hard: what a bucket took for a check that was refused elsewhere has drained, though what was booked beside it has not', async () => {
  const { clock, store } = world()
  const scopes = { user: minute(1), global: tokenBucket({ capacity: 100, refill: 100, per: '100ms' }) }
  const near = createLimiter({ name: 'api', scopes, store, clock })
  const leased = createLimiter({ name: 'api', scopes, store, clock, mode: 'leased' })
  const far = farStore(store, async (table, request) => {
    if (request.operations.some(([what]) => what === 'refund')) {
      await leased.close()
      await clock.advance(10)
      await near.check({ global: '*' }, { cost: 5 })
    }
    return table.exchange(request)
  })
  const limiter = createLimiter({ name: 'api', scopes, store: far, clock })
  await limiter.check({ user: 'a' })
  await Promise.all(Array.from({ length: 6 }, () => leased.check({ global: '*' })))
  const { remaining } = await near.peek({ global: '*' })
  expect(remaining).toBeLessThan(90)
  expect(await limiter.check({ user: 'a', global: '*' })).toMatchObject({ allowed: false, name: 'user' })
  await limiter.flush()
  expect((await near.peek({ global: '*' })).remaining).toBe(94)
  await Promise.all([limiter.close(), near.close()])
})

/** Each table on a server of its own, which can lose its data. */
function losing(clock: ManualClock) {
  let current = memoryStore({ clock })
  let backs = Promise.resolve()
  const store: Store = {
    open: (name, limit) => {
      let opened = { by: current, table: current.open(name, limit) }
      const table = () => {
        if (opened.by !== current) opened = { by: current, table: current.open(name, limit) }
        return opened.table
      }
      return {
        known: true,
        now: () => table().now(),
        latest: () => table().latest(),
        // A command is a millisecond under way.
        exchange: async (request) => {
          await clock.advance(1)
          if (request.operations.some(([what]) => what === 'refund')) await backs
          return table().exchange(request)
        },
      }
    },
    close: () => current.close(),
  }
  const lose = () => {
    current = memoryStore({ clock })
  }
  /** Whatever is given back stays under way until this is called back. */
  const hold = () => {
    let go = () => {}
    backs = new Promise((resolve) => {
      go = resolve
    })
    return () => go()
  }
  return { store, lose, hold }
}

it('hard: what a refusal gives back to a server that lost its data since, is not taken off what that counted since', async () => {
  const clock = new ManualClock()
  const { store, lose, hold } = losing(clock)
  const scopes = { user: minute(1), ip: minute(9) }
  const limiter = createLimiter({ name: 'api', scopes, store, clock })
  const other = createLimiter({ name: 'api', scopes, store, clock })
  await limiter.check({ user: 'a', ip: 'x' })
  const go = hold()
  expect((await limiter.check({ user: 'a', ip: 'x' })).allowed).toBe(false)
  lose()
  await other.check({ ip: 'x' }, { cost: 3 })
  go()
  await limiter.flush()
  expect((await other.peek({ ip: 'x' })).remaining).toBe(5)
  expect((await limiter.check({ user: 'b', ip: 'x' })).allowed).toBe(true)
  expect((await limiter.check({ user: 'b', ip: 'x' })).allowed).toBe(false)
  await limiter.flush()
  expect((await other.peek({ ip: 'x' })).remaining).toBe(4)
  await Promise.all([limiter.close(), other.close()])
})

it('hard: a reservation gives nothing back to a store that lost its data since', async () => {
  const clock = new ManualClock()
  const { store, lose } = losing(clock)
  for (const hears of [false, true]) {
    const limiter = createLimiter({ name: `api-${hears}`, limit: [minute(9), day(9)], store, clock })
    const other = createLimiter({ name: `api-${hears}`, limit: [minute(9), day(9)], store, clock })
    const call = await limiter.reserve('a', 4)
    lose()
    await other.check('a', { cost: 3 })
    if (hears) await limiter.peek('a')
    await call.release()
    expect((await other.peek('a')).parts).toMatchObject([{ remaining: 5 }, { remaining: 5 }])
    const again = await limiter.reserve('a', 4)
    await again.settle(1)
    expect((await other.peek('a')).parts).toMatchObject([{ remaining: 4 }, { remaining: 4 }])
    await Promise.all([limiter.close(), other.close()])
  }
})

it.each([
  ['a limit', { limit: minute(9) }],
  ['several', { limit: [minute(9), day(9)] }],
  ['a reserve', { limit: minute(4), spike: { extra: 9, per: '1000h' } }],
])(
  'hard: %s takes by one answer and gives back by it, though the next one tells that the data is lost',
  async (_, limits) => {
    const { clock } = world()
    for (const joins of [false, true]) {
      let current = memoryStore({ clock })
      let answers = Promise.resolve()
      const answering = async <T>(reply: Promise<T>) => {
        await reply
        await answers
        return reply
      }
      const lost = new Map<string, Table>()
      const store: Store = {
        open: (name, limit) => {
          const first = current
          const table = first.open(name, limit)
          const its = () => {
            if (current === first) return table
            if (!lost.has(name)) lost.set(name, current.open(name, limit))
            return lost.get(name) as Table
          }
          return {
            ...(joins && { place: 'one' }),
            known: true,
            now: () => its().now(),
            latest: () => its().latest(),
            exchange: (request) => answering(its().exchange(request)),
          }
        },
        ...(joins && {
          join: (tables) => {
            const [before, joint] = [current, current.join?.(tables) as JointTable]
            const its = () => (current === before ? joint : (current.join?.(tables) as JointTable))
            return { exchange: (...asked) => answering(its().exchange(...asked)) }
          },
        }),
        close: () => current.close(),
      }
      const limiter = createLimiter({ name: 'api', ...limits, store, clock })
      if ('spike' in limits) await limiter.check('a', { cost: 4 })
      let go = () => {}
      answers = new Promise((resolve) => {
        go = resolve
      })
      const reserving = limiter.reserve('a', 4)
      await clock.advance(0)
      current = memoryStore({ clock })
      const next = limiter.check('b')
      await clock.advance(0)
      go()
      const call = await reserving
      expect(call.allowed).toBe(true)
      await next
      const other = createLimiter({ name: 'api', ...limits, store: current, clock })
      if ('spike' in limits) await other.check('a', { cost: 4 })
      expect((await other.check('a', { cost: 3 })).allowed).toBe(true)
      await call.release()
      expect((await other.check('a', { cost: 4 })).allowed).toBe(true)
      expect((await other.check('a', { cost: 3 })).allowed).toBe(false)
      await Promise.all([limiter.close(), other.close()])
    }
  },
)

it('hard: a limiter has closed when what its last refusals gave back is there for others', async () => {
  const clock = new ManualClock()
  const memory = memoryStore({ clock })
  // On servers of their own, of which one is slow.
  const open: Store['open'] = (name, ...more) =>
    faultyStore(memory, { clock, latency: name === 'api~ip' ? 5 : 20 }).open(name, ...more)
  const store: Store = { open, close: () => memory.close() }
  const made = { name: 'api', scopes: { user: minute(1), ip: minute(5) }, clock }
  const reader = createLimiter({ ...made, store: memory })
  await reader.check({ user: 'a', ip: 'x' })
  const limiter = createLimiter({ ...made, store })
  const check = limiter.check({ user: 'a', ip: 'x' })
  await clock.advance(20)
  let left: number | undefined
  void limiter.close().then(async () => {
    left = (await reader.peek({ ip: 'x' })).remaining
  })
  await clock.advance(100)
  expect(await check).toMatchObject({ allowed: false, name: 'user' })
  expect(left).toBe(3)
  await reader.close()
})

it.each(['soft', 'leased'] as const)(
  '%s: a check that waits while its limiter closes is settled',
  async (mode) => {
    for (let ticks = 0; ticks < 30; ticks++) {
      const { clock, store } = world()
      const limit = [minute(5), day(50)]
      const limiter = createLimiter({ name: 'api', mode, limit, clock, store })
      const check = limiter.check('a').catch(({ code }) => ({ allowed: false, code }))
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
      await limiter.close()
      const { allowed } = await check
      const reader = createLimiter({ name: 'api', limit, clock, store })
      const { parts } = await reader.peek('a')
      expect([ticks, parts?.[0]?.remaining, parts?.[1]?.remaining]).toEqual(
        allowed ? [ticks, 3, 48] : [ticks, 4, 49],
      )
      await reader.close()
    }
  },
)

const LIMITS: fc.Arbitrary<Limits> = fc.uniqueArray(
  fc
    .tuple(fc.nat(4), fc.integer({ min: 1, max: 8 }), fc.constantFrom(50, 200, 1000))
    .map(
      ([kind, limit, window]) =>
        [
          () => fixedWindow({ limit, window }),
          () => slidingWindow({ limit, window }),
          () => slidingLog({ limit, window }),
          () => tokenBucket({ capacity: limit, refill: limit, per: window }),
          () => leakyBucket({ capacity: limit, leak: limit, per: window }),
        ][kind]?.() ?? fixedWindow({ limit, window }),
    ),
  { minLength: 2, maxLength: 4 },
)

it.each(modes)('%s: one node admits what all limits, each by itself, would', async (mode) => {
  const step = fc.record({ wait: fc.oneof(fc.constant(0), fc.nat(60)), cost: fc.integer({ min: 1, max: 4 }) })
  await fc.assert(
    fc.asyncProperty(LIMITS, fc.array(step, { maxLength: 25 }), async (limit, steps) => {
      const { clock, store } = world()
      const limiter = createLimiter({
        name: 'api',
        mode,
        limit,
        store,
        clock,
        sync: mode === 'hard' ? undefined : { interval: 20 },
      })
      const singles = (limit as readonly (typeof limit)[]).map((one, place) =>
        createLimiter({ name: `one-${place}`, limit: one, store, clock }),
      )
      for (const { wait, cost } of steps) {
        await clock.advance(wait)
        const peeks = await Promise.all(
          singles.map(async (single) => {
            const taken = await single.check('a', { cost })
            if (taken.allowed) await single.refund('a', cost)
            return taken.allowed
          }),
        )
        const decision = await limiter.check('a', { cost })
        const model = peeks.every((allowed) => allowed)
        // A node that shares may refuse what is left for others; none allows what a limit does not.
        if (mode === 'hard' || decision.allowed) expect(decision.allowed).toBe(model)
        if (decision.allowed) for (const single of singles) await single.check('a', { cost })
        await limiter.flush()
      }
      await limiter.close()
    }),
    { numRuns: Math.ceil((fc.readConfigureGlobal().numRuns as number) / 4) },
  )
})
