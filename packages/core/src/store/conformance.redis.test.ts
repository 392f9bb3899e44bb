import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { startSlowlyExpiringRedis } from '../../test/slowly-expiring-redis.ts'
import { type Algorithm, isWindow, rateOf } from '../algorithms/algorithm.ts'
import { LARGEST_COUNT } from '../algorithms/arithmetic.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from '../algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from '../algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from '../algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import { memoryStore } from './memory.ts'
import { redisStore } from './redis/redis-store.ts'
import {
  CHANGES_KEPT,
  type Counters,
  type JointTable,
  type LimitInForce,
  type Operation,
  type Raise,
  type Reply,
  Snapshot,
  type Table,
} from './store.ts'

const PREFIX = 'conformance'
const KEYS = ['one', 'two', 'three']
const NODES = ['00000000000000a1', 'ffffffff800000ff']
/** Nodes that share a key. Some ids are made of what else lies in a row: zeros, ones, and the others' ids. */
const SHARING = [
  ...NODES,
  '0000000000000000',
  '0000000000000001',
  '0000000100000001',
  '0000000100000000',
  'a1ffffffff800000',
  ...Array.from({ length: 13 }, (_, place) => `c0ffee${place.toString(16).padStart(10, '0')}`),
]

let now = 0
let sequence = 0
const clock: Clock = { wall: () => now, monotonic: () => now, setTimer: () => 0, clearTimer: () => {} }
const memory = memoryStore({ clock })
const server = await startSlowlyExpiringRedis()
const redis = redisStore(server.url, { now: () => now, prefix: PREFIX })
const client = new Redis(server.url)
let names = 0

afterAll(async () => {
  await redis.close()
  client.disconnect()
  await server.stop()
})

/** Asks both stores the same. */
async function both(tables: readonly Table[], limit: Algorithm, node: string, operation: Operation) {
  const request = {
    node,
    sequence: 0,
    deadline: 0,
    since: -1,
    presence: 0,
    extra: 0,
    operations: [operation],
  }
  const [expected, actual] = (await Promise.all(tables.map((table) => table.exchange(request)))) as [
    Reply,
    Reply,
  ]
  expect(plain(limit, actual), JSON.stringify({ now, operation })).toEqual(plain(limit, expected))
  return expected.results[0]
}

const limits: Record<string, fc.Arbitrary<Algorithm>> = {
  'fixed window': windows((limit, window) => fixedWindow({ limit, window }) as Algorithm),
  'sliding window': windows((limit, window) => slidingWindow({ limit, window }) as Algorithm),
  'sliding log': windows((limit, window) => slidingLog({ limit, window }) as Algorithm),
  'token bucket': buckets((capacity, rate, per) => tokenBucket({ capacity, refill: rate, per }) as Algorithm),
  'leaky bucket': buckets((capacity, rate, per) => leakyBucket({ capacity, leak: rate, per }) as Algorithm),
}

function windows(make: (limit: number, window: number) => Algorithm): fc.Arbitrary<Algorithm> {
  return fc
    .tuple(fc.integer({ min: 1, max: 10 }), fc.constantFrom(10, 97, 1000, 60_000))
    .map(([limit, window]) => make(limit, window))
}

function buckets(make: (capacity: number, rate: number, per: number) => Algorithm): fc.Arbitrary<Algorithm> {
  return fc
    .tuple(
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 10 }),
      fc.constantFrom(7, 97, 1000, 60_000),
    )
    .map(([capacity, rate, per]) => make(capacity, rate, per))
}

type Advance = (now: number, window: number) => number

const advance: fc.Arbitrary<Advance> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Advance>((at) => at) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }).map<Advance>((by) => (at) => at + by) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -1, max: 1 })).map<Advance>(
      ([by, off]) =>
        (at, window) =>
          at - (at % window) + by * window + off,
    ),
  },
  {
    weight: 3,
    arbitrary: fc.double({ min: 0, max: 1, noNaN: true }).map<Advance>((part) => (at, window) => {
      return at + Math.floor(part * window)
    }),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 2, max: 70 }).map<Advance>((by) => (at, window) => at + by * window),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: -1, max: 1 }).map<Advance>((off) => (at) => at + CHANGES_KEPT + off),
  },
)

const key = fc.nat(KEYS.length - 1)
const cost = fc.integer({ min: 1, max: 11 })
const costs = fc.array(cost, { minLength: 1, maxLength: 3 })

const take = fc.record({ kind: fc.constant('take' as const), key, costs })
const refund = fc.record({ kind: fc.constant('refund' as const), key, cost })
const giveBack = fc.record({
  kind: fc.constant('give back' as const),
  key,
  cost,
  /** How long ago it was taken: milliseconds, or a part of the window. */
  ago: fc.oneof(fc.constantFrom(0, 0, 1, 3), fc.double({ min: 0, max: 1.1, noNaN: true })),
  beside: fc.option(fc.nat(6), { nil: undefined }),
  marker: fc.constantFrom(undefined, 'its', 'another'),
  /** What else was in use, and how much of it went back since as the node heard last; it may drain faster. */
  others: fc.option(
    fc.record({
      cost: fc.nat(9),
      drained: fc.nat(2),
      missed: fc.nat(2),
      faster: fc.nat(2),
      staleness: fc.constantFrom(0, 0, 5, 500),
    }),
    {
      nil: undefined,
    },
  ),
})
/** Also more, with others, than integers can be told apart. */
const charge = fc.record({
  kind: fc.constant('charge' as const),
  key,
  cost: fc.oneof(cost, fc.constantFrom(LARGEST_COUNT, 2 ** 52, 2 ** 53 - 1)),
})
/** Of a log also what expires within so many milliseconds. */
const ahead = fc.constantFrom(0, 0, 3, 20, 700)
const read = fc.record({
  kind: fc.constant('read' as const),
  key,
  ask: fc.tuple(fc.nat(9), fc.constantFrom(0, 0.5, 1), fc.nat(9), fc.nat(9), ahead),
})
const peek = fc.record({ kind: fc.constant('peek' as const), key })
const reset = fc.record({
  kind: fc.constant('reset' as const),
  key,
  /** How many slices ago it heard of the key; how much of what was booked it has not heard of. */
  lag: fc.constantFrom(0, 0, 0, 1),
  unheard: fc.constantFrom(0, 0, 1, 3),
})
const block = fc.record({
  kind: fc.constant('block' as const),
  key,
  windows: fc.constantFrom(0.5, 1, 3),
})
const settle = fc.record({
  kind: fc.constant('settle' as const),
  key,
  lag: fc.constantFrom(0, 0, 0, 1, 1, 2),
  admitted: fc.nat(6),
  refunded: fc.nat(3),
  lateAdmitted: fc.nat(4),
  lateRefunded: fc.nat(2),
  returned: fc.nat(3),
  ask: fc.option(fc.tuple(fc.nat(9), fc.constantFrom(0, 0.25, 1 / 3, 1), fc.nat(9), fc.nat(3), ahead), {
    nil: null,
  }),
  place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  /** How many of a log's first entries are not told of. */
  forgets: fc.constantFrom(0, 0, 1, 3),
  restores: fc.integer({ min: 0, max: 3 }).map((one) => one === 0),
  how: fc.constantFrom('new', 'new', 'new', 'new', 'again', 'older', 'old generation'),
})
/** Of most keys a node has nothing to tell but what it admitted, and asks for nothing: Redis has a short way for these. */
const settlePlainly = settle.map((step) => ({
  ...step,
  refunded: 0,
  lateRefunded: 0,
  returned: 0,
  ask: [step.ask?.[0] ?? 0, 0.5, 0, 0, 0] as Settle['ask'] & object,
  restores: false,
}))
/** Of a window whose row a node knows it tells what it is to be. */
const raise = settlePlainly.map((step) => ({ ...step, kind: 'raise' as const }))
const readPlainly = fc.record({
  kind: fc.constant('read' as const),
  key,
  ask: fc.tuple(fc.nat(2), fc.constant(0.5), fc.constant(0), fc.constant(0), fc.constant(0 as const)),
})
const anything = fc.oneof(
  { weight: 4, arbitrary: take },
  { weight: 4, arbitrary: settle },
  { weight: 4, arbitrary: settlePlainly },
  { weight: 4, arbitrary: raise },
  { weight: 1, arbitrary: readPlainly },
  { weight: 2, arbitrary: refund },
  { weight: 1, arbitrary: giveBack },
  { weight: 1, arbitrary: charge },
  { weight: 1, arbitrary: read },
  { weight: 1, arbitrary: peek },
  { weight: 1, arbitrary: reset },
  { weight: 1, arbitrary: block },
)

/** What Redis does quickly, where nothing else is kept of the key. */
const alone = fc.record({
  kind: fc.constant('take' as const),
  key,
  costs: fc.array(cost, { minLength: 1, maxLength: 1 }),
})

const MANY_KEYS = Array.from({ length: 12 }, (_, place) => `key${place}`)
/** Nearly all of one cost of 1, as most checks are. */
const manyTakes = fc.record({
  advance,
  node: fc.nat(NODES.length - 1),
  takes: fc.uniqueArray(
    fc.record({
      key: fc.nat(MANY_KEYS.length - 1),
      costs: fc.oneof({ weight: 5, arbitrary: fc.constant<number[]>([1]) }, { weight: 1, arbitrary: costs }),
    }),
    { minLength: 2, maxLength: MANY_KEYS.length, selector: ({ key }) => key },
  ),
})

type Alone = typeof alone extends fc.Arbitrary<infer T> ? T : never

function history<T>(step: fc.Arbitrary<T | Alone>, passes = advance, least = 1) {
  return fc.array(
    fc.record({
      advance: passes,
      node: fc.nat(NODES.length - 1),
      since: fc.constantFrom(-1, 0, 0.5, 1),
      extra: fc.constantFrom(0, 0, 2),
      /** Goes by a plan instead of the limit. */
      plan: fc.boolean(),
      /** Goes by the limit in force; sets another one by so much; tells of one that was set at a time. */
      follows: fc.constantFrom('no', 'yes', 'yes', 'sets', 'tells'),
      other: fc.integer({ min: 1, max: 4 }),
      steps: fc.oneof(
        { weight: 3, arbitrary: fc.array<T | Alone>(step, { minLength: 0, maxLength: 4 }) },
        { weight: 2, arbitrary: fc.array<T | Alone>(alone, { minLength: 1, maxLength: 1 }) },
      ),
    }),
    { minLength: least, maxLength: 15 },
  )
}

function mostly<const T>(one: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 20, arbitrary: fc.constant(one) },
    ...others.map((other) => ({ weight: 1, arbitrary: fc.constant(other) })),
  )
}

/** Mostly takes, a key each, close behind each other and of one node: Redis has a quick way for these. */
const closely = fc.array(
  fc.record({
    advance: mostly(0, 0.01, 0.1, 0.3, 1).map<Advance>(
      (part) => (at, window) => at + Math.floor(part * window),
    ),
    node: mostly(0, 1),
    since: fc.constant(-1),
    extra: fc.constant(0),
    plan: mostly(false, true),
    follows: mostly('yes', 'no', 'no', 'sets'),
    other: fc.integer({ min: 1, max: 4 }),
    steps: fc.oneof(
      {
        weight: 20,
        arbitrary: fc.uniqueArray<typeof anything extends fc.Arbitrary<infer T> ? T : never, number>(take, {
          minLength: 1,
          maxLength: KEYS.length,
          selector: ({ key }) => key,
        }),
      },
      { weight: 1, arbitrary: fc.array(anything, { minLength: 1, maxLength: 2 }) },
    ),
  }),
  { minLength: 5, maxLength: 40 },
)

/** The same kind of limit with another number; of a bucket it drains so many times as fast. */
function planOf(limit: Algorithm, times: number): Algorithm {
  const [most, window, rate, per] = limit.parameters as [number, number, number?, number?]
  return limit.with(
    rate === undefined ? [most * times, window] : [most * times, window, rate * times, per as number],
  )
}

/** What a node has counted of a key in one slice. */
class Tally {
  admitted = 0
  refunded = 0
  granted = 0
  returned = 0
  readonly entries: number[] = []

  admit(cost: number, from: number, to: number, place: number): void {
    if (cost === 0) return
    const least = Math.max(from, this.entries.at(-2) ?? from)
    this.entries.push(Math.floor(least + place * Math.max(0, to - least + 1)), cost)
    this.admitted += cost
  }

  /** As counters; nothing was booked that was not heard of, and what was spent is not given back. */
  counters(returned: number): Counters {
    this.returned += Math.max(0, Math.min(returned, this.granted - this.returned - this.admitted))
    return [this.admitted, this.refunded, this.granted, this.returned]
  }

  giveBack(cost: number): void {
    this.refunded = Math.min(this.admitted, this.refunded + cost)
  }
}

/** A node's counters of a key, since the last reset it has heard of. */
class Ledger {
  generation = 0
  tallies = new Map<number, Tally>()
  readonly sent: Operation[] = []
  /** What was heard last. */
  seen = new Snapshot('')

  hear(snapshot: Snapshot): void {
    const { generation, slice, granted } = snapshot
    this.seen = snapshot
    if (generation !== this.generation) this.tallies = new Map()
    this.generation = generation
    const tally = this.tally(slice)
    tally.granted = Math.max(tally.granted, granted)
  }

  tally(slice: number): Tally {
    const tally = this.tallies.get(slice) ?? new Tally()
    this.tallies.set(slice, tally)
    return tally
  }
}

type Settle = typeof settle extends fc.Arbitrary<infer T> ? T : never

function settlement(ledger: Ledger, limit: Algorithm, key: string, step: Settle): Operation {
  const again = ledger.sent[step.how === 'again' ? ledger.sent.length - 1 : 0]
  if ((step.how === 'again' || step.how === 'older') && again !== undefined) return again
  const { window } = limit
  const slice = Math.max(0, Math.floor(now / window) - step.lag)
  const present = ledger.tally(slice)
  const late = ledger.tally(slice - 1)
  present.admit(step.admitted, slice * window, Math.min(now, slice * window + window - 1), step.place)
  present.giveBack(step.refunded)
  if (slice > 0) {
    late.admit(step.lateAdmitted, slice * window - window, slice * window - 1, step.place)
    late.giveBack(step.lateRefunded)
  }
  const generation = step.how === 'old generation' ? ledger.generation - 1 : ledger.generation
  const counters = [present.counters(step.returned), late.counters(step.returned)] as const
  const operation = ((): Operation => {
    const isLog = limit.algorithm === 'sliding-log'
    const told = (tally: Tally) => tally.entries.slice(2 * step.forgets)
    const entries = [told(present), told(late)] as const
    if (step.restores) {
      if (isLog) return ['restore', key, generation, slice, ...counters, null, ...entries]
      return late.admitted > 0
        ? ['restore', key, generation, slice, ...counters]
        : ['restore', key, generation, slice, counters[0]]
    }
    if (isLog) return ['settle', key, generation, slice, ...counters, step.ask, ...entries]
    return ['settle', key, generation, slice, ...counters, step.ask]
  })()
  ledger.sent.push(operation)
  return operation
}

/** Where there is more to tell than a raise does, a settlement. */
function raiseOf(ledger: Ledger, limit: Algorithm, key: string, step: Settle): Operation {
  const settled = settlement(ledger, limit, key, step)
  if (settled[0] !== 'settle' || !isWindow(limit)) return settled
  const [, , generation, slice, [admitted, ...others], [late, ...lateOthers], ask] = settled
  if (generation > 0 || [...others, ...lateOthers].some((count) => count > 0)) return settled
  const { seen } = ledger
  if (seen.admitted > admitted) return settled
  const row = [seen.b, seen.c, seen.admitted, seen.demand] as const
  const operation: Operation = ['raise', key, slice, admitted, late, ask?.[0] ?? 0, ...row]
  ledger.sent.push(operation)
  return operation
}

/** What nothing as an answer to a raise means. */
function raised(limit: Algorithm, [, key, slice, admitted, late, demand, ...seen]: Raise): Snapshot {
  const [count, previous, had] = seen
  const numbers = { a: (slice + 1) * limit.window, b: count + admitted - had, c: previous }
  return Object.assign(new Snapshot(key), { slice, admitted, lateAdmitted: late, demand, ...numbers })
}

/** The results of a reply, with what those tell that are nothing. */
function told(limit: Algorithm, results: Reply['results'], operations: readonly Operation[]) {
  return results.map((result, place) => {
    const operation = operations[place] as Operation
    return result === undefined && operation[0] === 'raise' ? raised(limit, operation) : result
  })
}

function operationOf(
  step: typeof anything extends fc.Arbitrary<infer T> ? T : never,
  limit: Algorithm,
  ledger: (key: string) => Ledger,
): Operation {
  const key = KEYS[step.key] as string
  switch (step.kind) {
    case 'take':
      return ['take', key, ...step.costs]
    case 'refund':
    case 'charge':
      return [step.kind, key, step.cost]
    case 'give back': {
      const ago = Number.isInteger(step.ago) ? step.ago : Math.floor(step.ago * limit.window)
      const at = Math.max(0, now - ago)
      if (step.beside === undefined) return ['refund', key, step.cost, at]
      if (step.marker === undefined) return ['refund', key, step.cost, at, step.beside]
      if (step.others === undefined) return ['refund', key, step.cost, at, step.beside, step.marker]
      const { cost, drained, missed, faster, staleness } = step.others
      const [since, given] = ledger(key).seen.given
      const rate = faster * rateOf(limit)
      const heard = at - staleness
      const others = [cost, drained, since, Math.max(0, given - missed), rate, heard] as const
      return ['refund', key, step.cost, at, step.beside, step.marker, others]
    }
    case 'block':
      return ['block', key, Math.ceil(step.windows * limit.window)]
    case 'settle':
      return settlement(ledger(key), limit, key, step)
    case 'raise':
      return raiseOf(ledger(key), limit, key, { ...step, kind: 'settle' })
    case 'read':
      return ['read', key, step.ask]
    case 'reset': {
      const slice = Math.max(0, Math.floor(now / limit.window) - step.lag)
      return ['reset', key, slice, Math.max(0, ledger(key).tally(slice).granted - step.unheard)]
    }
    default:
      return [step.kind, key]
  }
}

function plainSnapshot(limit: Algorithm, snapshot: Snapshot): object {
  const { a, b, c, d: _, isAlone: __, entries, ...rest } = snapshot
  if (limit.algorithm !== 'sliding-log') return { ...rest, a, b, c }
  const byTime = new Map<number, number>()
  for (let place = 0; place < (entries ?? []).length; place += 2) {
    const time = entries?.[place] as number
    byTime.set(time, (byTime.get(time) ?? 0) + (entries?.[place + 1] as number))
  }
  return { ...rest, total: a, newest: b, entries: [...byTime] }
}

function inForce(how: string, limit: Algorithm, other: number): { limit?: LimitInForce } {
  if (how === 'no') return {}
  if (how === 'yes') return { limit: [] }
  return { limit: [how === 'sets' ? 0 : Math.ceil(now / other), ...planOf(limit, other).parameters] }
}

/** As it is sent to a store that was last heard with this marker. */
function heardFrom(marker: string, operations: readonly Operation[]): Operation[] {
  return operations.map((operation) => {
    if (operation[0] !== 'refund' || operation[5] !== 'its') return operation
    const [, key, cost, at = 0, beside = 0, , others] = operation
    const its = ['refund', key, cost, at, beside, marker] as const
    return others === undefined ? its : [...its, others]
  })
}

/** What two stores must agree on. */
function plain(limit: Algorithm, reply: Reply, operations: readonly Operation[] = []): object {
  const changed = [...reply.changed].sort((one, two) => (one.key < two.key ? -1 : 1))
  return {
    now: reply.now,
    limit: reply.limit,
    changesFrom: reply.changesFrom,
    booked: new Map(reply.booked),
    given: new Map(reply.given),
    changed: changed.map((snapshot) => plainSnapshot(limit, snapshot)),
    results: told(limit, reply.results, operations).map((result) =>
      result instanceof Snapshot
        ? plainSnapshot(limit, result)
        : result?.map((decision) => ({ ...decision })),
    ),
  }
}

/** Every Redis key under the name will expire, the one that tells of the others last. */
async function checkExpiry(group: string, table = group): Promise<void> {
  const prefix = `${PREFIX}:1:{${group}}${table.slice(group.length)}`
  const all = await client.keys(`${prefix}:*`)
  const left = await Promise.all(all.map((one) => client.pttl(one)))
  const meta = left[all.indexOf(`${prefix}:meta`)] as number
  for (const [place, ms] of left.entries()) {
    expect(ms, all[place]).toBeGreaterThan(0)
    expect(ms, all[place]).toBeLessThanOrEqual(meta)
  }
  if (all.length > 0) await client.unlink(...all)
}

it('keeps the debt of a bucket that was settled until it has drained, and no older row comes back', async () => {
  const limit = tokenBucket({ capacity: 10, refill: 1, per: '1s' }) as Algorithm
  const [node] = NODES as [string]
  const tables = [memory, redis].map((store) => store.open(`debt-${names++}`, limit))
  const settle = (key: string, slice: number, admitted: number): Operation => {
    return ['settle', key, 0, slice, [admitted, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
  }
  now = 0
  await both(tables, limit, node, settle('deep', 0, 65))
  await both(tables, limit, node, ['charge', 'shallow', 45])
  await both(tables, limit, node, ['refund', 'shallow', 45])
  await both(tables, limit, node, settle('shallow', 0, 3))
  for (const seconds of [1, 15, 25, 40, 60]) {
    now = 1000 * seconds
    expect(await both(tables, limit, node, ['peek', 'deep'])).toMatchObject([{ allowed: seconds > 55 }])
    await both(tables, limit, node, ['peek', 'shallow'])
  }
})

type Exchanges = ReturnType<typeof history<typeof anything extends fc.Arbitrary<infer T> ? T : never>>

/** Both stores are told the same, and must answer alike. */
function answerAlike(
  own: Algorithm,
  times: number,
  exchanges: Exchanges extends fc.Arbitrary<infer T> ? T : never,
): Promise<void> {
  return answerAlikeFrom(0, own, times, exchanges)
}

/**
 * As `answerAlike`.
 *
 * @param start the slice in which it begins
 * @param then is called after each exchange, with the name and its place
 */
async function answerAlikeFrom(
  start: number,
  own: Algorithm,
  times: number,
  exchanges: Exchanges extends fc.Arbitrary<infer T> ? T : never,
  then: (name: string, place: number) => Promise<void> = async () => {},
): Promise<void> {
  const name = `all-${names++}`
  const plan = planOf(own, times)
  const [ours, theirs] = [own, plan].map((limit) => [memory.open(name, limit), redis.open(name, limit)]) as [
    Table[],
    Table[],
  ]
  const ledgers = new Map<string, Ledger>()
  const markers = ['', '']
  now = start * own.window
  for (const [place, exchange] of exchanges.entries()) {
    const limit = exchange.plan ? plan : own
    now = Math.max(now, exchange.advance(now, limit.window))
    const node = SHARING[exchange.node] as string
    const ledger = (key: string) => {
      const id = `${node}/${key}`
      if (!ledgers.has(id)) ledgers.set(id, new Ledger())
      return ledgers.get(id) as Ledger
    }
    const operations = exchange.steps.map((step) => operationOf(step, limit, ledger))
    const isAlone = operations.length === 1 && operations[0]?.[0] === 'take'
    const since = isAlone || exchange.since < 0 ? -1 : Math.floor(exchange.since * now)
    const request = {
      node,
      sequence: ++sequence,
      deadline: now,
      since,
      presence: 0,
      extra: exchange.extra,
      operations,
      ...inForce(exchange.follows, limit, exchange.other),
    }
    const [expected, actual] = (await Promise.all(
      (exchange.plan ? theirs : ours).map((table, place) =>
        table.exchange({ ...request, operations: heardFrom(markers[place] as string, operations) }),
      ),
    )) as [Reply, Reply]
    markers.splice(0, 2, expected.marker, actual.marker)
    expect(plain(limit, actual, operations), JSON.stringify({ now, request })).toEqual(
      plain(limit, expected, operations),
    )
    await then(name, place)
    for (const result of [...expected.changed, ...told(limit, expected.results, operations)])
      if (result instanceof Snapshot) ledger(result.key).hear(result)
  }
  await checkExpiry(name)
}

it.each([
  fixedWindow({ limit: 10, window: '1s' }),
  slidingWindow({ limit: 10, window: '1s' }),
  tokenBucket({ capacity: 10, refill: 10, per: '1s' }),
] as Algorithm[])('settles what several nodes have admitted of a key in turns: $algorithm', async (limit) => {
  // The first two are there all along, the others begin a slice each and are not heard of again.
  const nodes = [...NODES, '0000000000000001', '0000000000000002', '0000000000000003']
  const tables = [memory, redis].map((store) => store.open(`turns-${names++}`, limit))
  const admitted = nodes.map(() => 0)
  let late = nodes.map(() => 0)
  for (let turn = 0; turn < 30; turn++) {
    const slice = Math.floor(turn / 10)
    now = 100 * turn
    if (turn % 10 === 0) late = admitted.splice(0, nodes.length, ...nodes.map(() => 0))
    const place = turn % 10 === 0 ? 2 + slice : turn % 2
    const most = (admitted[place] as number) + (turn % 4)
    admitted[place] = most
    const before = limit.lateSlices * (late[place] as number)
    const ask = [1 + (turn % 5), 1, 0, 0] as const
    await both(tables, limit, nodes[place] as string, [
      'settle',
      'key',
      0,
      slice,
      [most, 0, 0, 0],
      [before, 0, 0, 0],
      ask,
    ])
  }
})

it.each([
  slidingWindow({ limit: 10, window: '1s' }),
  tokenBucket({ capacity: 10, refill: 1, per: '1s' }),
] as Algorithm[])('keeps a demand that is told again as long as a new one: $algorithm', async (limit) => {
  const [node, other] = NODES as [string, string]
  const tables = [memory, redis].map((store) => store.open(`demand-${names++}`, limit))
  for (const slice of [100, 101]) {
    now = slice * limit.window
    const [admitted, late] = slice === 100 ? [2, 0] : [0, 2 * limit.lateSlices]
    await both(tables, limit, node, [
      'settle',
      'key',
      0,
      slice,
      [admitted, 0, 0, 0],
      [late, 0, 0, 0],
      [5, 1, 0, 0],
    ])
  }
  now = 102 * limit.window
  expect(await both(tables, limit, other, ['read', 'key', [1, 0, 0, 0]])).toMatchObject({ demand: 6 })
})

for (const [what, limit] of Object.entries(limits)) {
  describe(what, () => {
    it('is answered alike by memory and by Redis', async () => {
      const times = fc.integer({ min: 2, max: 5 })
      const property = fc.asyncProperty(limit, times, history(anything), answerAlike)
      await fc.assert(property, { numRuns: 2 * (fc.readConfigureGlobal().numRuns as number) })
    })

    it('is answered alike by memory and by Redis where most of it is taken quickly', async () => {
      const property = fc.asyncProperty(limit, fc.integer({ min: 2, max: 5 }), closely, answerAlike)
      await fc.assert(property, { numRuns: 4 * (fc.readConfigureGlobal().numRuns as number) })
    })

    it('decides in Redis as the TypeScript half does', async () => {
      const property = fc.asyncProperty(
        limit,
        history(fc.oneof({ weight: 3, arbitrary: take }, { weight: 1, arbitrary: refund })),
        async (limit, exchanges) => {
          const table = redis.open(`takes-${names++}`, limit)
          const states = new Map(KEYS.map((key) => [key, limit.create()]))
          now = 0
          for (const exchange of exchanges) {
            now = Math.max(now, exchange.advance(now, limit.window))
            const expected: Decision[][] = []
            const operations = exchange.steps.map((step): Operation => {
              const key = KEYS[step.key] as string
              const state = states.get(key)
              if (step.kind === 'take') {
                expected.push(step.costs.map((cost) => limit.take(state, now, cost, 'store', true)))
                return ['take', key, ...step.costs]
              }
              limit.refund(state, now, 0, step.cost)
              return ['refund', key, step.cost]
            })
            const node = NODES[exchange.node] as string
            const once = { node, sequence: ++sequence, deadline: now }
            const request = { ...once, since: -1, presence: 0, extra: 0, operations }
            const { results } = await table.exchange(request)
            expect(results.filter((result) => !(result instanceof Snapshot))).toEqual(expected)
          }
        },
      )
      await fc.assert(property, { numRuns: fc.readConfigureGlobal().numRuns as number })
    })

    it('decides takes of many keys at once, of which many are alike, as the TypeScript half does', async () => {
      const property = fc.asyncProperty(limit, fc.array(manyTakes, { maxLength: 12 }), async (limit, all) => {
        const table = redis.open(`many-${names++}`, limit)
        const states = MANY_KEYS.map(() => limit.create())
        now = 0
        for (const { advance, node, takes } of all) {
          now = Math.max(now, advance(now, limit.window))
          const expected = takes.map(({ key, costs }) =>
            costs.map((cost) => limit.take(states[key], now, cost, 'store', true)),
          )
          const operations = takes.map(
            ({ key, costs }): Operation => ['take', MANY_KEYS[key] as string, ...costs],
          )
          const once = { node: NODES[node] as string, sequence: ++sequence, deadline: now }
          const request = { ...once, since: -1, presence: 0, extra: 0, operations, distinct: true }
          const { results } = await table.exchange(request)
          expect(results).toEqual(expected)
        }
      })
      await fc.assert(property, { numRuns: fc.readConfigureGlobal().numRuns as number })
    })
  })
}

const anyLimit = fc.oneof(...Object.values(limits))
const jointly = fc.record({
  advance,
  reserve: fc.boolean(),
  /** A key of each table, and costs. */
  takes: fc.array(
    fc.record({
      keys: fc.tuple(key, key, key),
      costs,
      /** Asks what each would say, and takes nothing. */
      looks: fc.nat(3).map((one) => one === 0),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  follows: fc.constantFrom('no', 'yes', 'sets'),
  other: fc.integer({ min: 1, max: 4 }),
  node: fc.nat(NODES.length - 1),
  /** Go by plans instead of the limits. */
  plan: fc.boolean(),
  /** What happens to one of the tables by itself, before, on a node. */
  before: fc.record({
    table: fc.nat(2),
    node: fc.nat(NODES.length - 1),
    steps: fc.array(anything, { maxLength: 3 }),
  }),
})

describe('several tables that take together', () => {
  it('are answered alike by memory and by Redis: all take, or none', async () => {
    const histories = fc.array(jointly, { minLength: 1, maxLength: 8 })
    const tables = fc.array(anyLimit, { minLength: 2, maxLength: 3 })
    const times = fc.integer({ min: 2, max: 5 })
    const property = fc.asyncProperty(tables, times, histories, async (limits, times, exchanges) => {
      const group = `joint-${names++}`
      const plans = limits.map((limit) => planOf(limit, times))
      const tablesOf = (limits: readonly Algorithm[]) =>
        limits.map((limit, place) => ({
          limit,
          group,
          shard: 0,
          table: place === 0 ? group : `${group}~${place}`,
        }))
      const all = tablesOf(limits)
      const singles = all.map(({ table, limit }) => [
        memory.open(table, limit),
        redis.open(table, limit, group),
      ])
      const [ours, theirs] = [all, tablesOf(plans)].map((tables) => [
        memory.join?.(tables),
        redis.join?.(tables),
      ]) as [JointTable[], JointTable[]]
      const ledgers = new Map<string, Ledger>()
      now = 0
      for (const { advance, reserve, takes, follows, other, node, plan, before } of exchanges) {
        now = Math.max(now, advance(now, limits[0]?.window as number))
        const common = { sequence: 0, deadline: 0, since: 0, presence: 0, extra: 0 }
        const at = before.table % all.length
        const ledger = (its: string) => {
          const id = `${at}/${before.node}/${its}`
          if (!ledgers.has(id)) ledgers.set(id, new Ledger())
          return ledgers.get(id) as Ledger
        }
        const limit = limits[at] as Algorithm
        const operations = before.steps.map((step) => operationOf(step, limit, ledger))
        const [one, two] = await Promise.all(
          (singles[at] ?? []).map((table) =>
            table.exchange({ ...common, node: NODES[before.node] as string, operations }),
          ),
        )
        expect(plain(limit, two as Reply, operations)).toEqual(plain(limit, one as Reply, operations))
        for (const result of [...(one?.changed ?? []), ...told(limit, one?.results ?? [], operations)])
          if (result instanceof Snapshot) ledger(result.key).hear(result)

        const requests = limits.map((limit, place) => ({
          ...common,
          node: NODES[node] as string,
          operations: takes.map(({ keys, costs, looks }): Operation => {
            const key = KEYS[keys[place] as number] as string
            return looks ? ['peek', key] : ['take', key, ...costs]
          }),
          ...inForce(follows, limit, other),
        }))
        const [expected, actual] = await Promise.all(
          (plan ? theirs : ours).map((joint) => joint.exchange(requests, reserve)),
        )
        for (const [place, limit] of limits.entries())
          expect(plain(limit, actual?.[place] as Reply), JSON.stringify({ now, reserve, requests })).toEqual(
            plain(limit, expected?.[place] as Reply),
          )
      }
      for (const { table } of all) await checkExpiry(group, table)
    })
    await fc.assert(property, { numRuns: 2 * (fc.readConfigureGlobal().numRuns as number) })
  })
})

describe('a window of which a node knows the row', () => {
  it.each(['fixed window', 'sliding window'])('is raised alike by memory and by Redis: %s', async (what) => {
    const limit = (limits[what] as fc.Arbitrary<Algorithm>).filter(({ window }) => window > 10)
    const part = fc.constantFrom(0, 0, 0, 0.02, 0.1, 1).map<Advance>((part) => (at, window) => {
      return at + Math.floor(part * window)
    })
    const raising = raise.map((step): typeof step => ({ ...step, lag: 0, lateAdmitted: 0, how: 'new' }))
    const step = fc.oneof(
      { weight: 24, arbitrary: raising },
      { weight: 1, arbitrary: raise },
      { weight: 1, arbitrary: anything },
      { weight: 1, arbitrary: block },
    )
    // Mostly of one node, and of each key once a command.
    const exchanges = history(step, part, 12).map((all) =>
      all.map((exchange, place) => ({
        ...exchange,
        node: place % 7 === 6 ? exchange.node : 0,
        steps: exchange.steps.filter(
          ({ key }, at) => exchange.steps.findIndex((other) => other.key === key) === at,
        ),
      })),
    )
    const property = fc.asyncProperty(limit, fc.constant(2), exchanges, answerAlike)
    await fc.assert(property, { numRuns: 3 * (fc.readConfigureGlobal().numRuns as number) })
  })
})

describe('a key that up to twenty nodes share', () => {
  const part = fc.constantFrom(0, 0, 0, 0, 0.01, 0.1, 1).map<Advance>((part) => (at, window) => {
    return at + Math.floor(part * window)
  })
  /** Costs and demands on both sides of what fits into 32 bits, and demands that are no integers. */
  const large = fc.constantFrom(0, 0, 0, 2 ** 32 - 7, 2 ** 32 - 1, 2 ** 32, 2 ** 33 + 5)
  const plainly = settlePlainly.map(
    (step): Settle => ({ ...step, key: step.key % 2, lag: 0, lateAdmitted: 0 }),
  )
  const largely = fc.tuple(plainly, large, large, large, fc.constantFrom(0, 0.5, 0.75)).map(
    ([step, admitted, lateAdmitted, demand, fraction]): Settle => ({
      ...step,
      admitted: step.admitted + admitted,
      lateAdmitted,
      ask: [demand + fraction, 0.5, 0, 0, 0],
    }),
  )
  const step = fc.oneof(
    { weight: 24, arbitrary: plainly },
    { weight: 3, arbitrary: settlePlainly },
    { weight: 2, arbitrary: readPlainly },
    { weight: 2, arbitrary: largely },
    { weight: 2, arbitrary: settle },
    { weight: 1, arbitrary: reset },
    { weight: 2, arbitrary: anything },
  )
  const exchange = fc.record({
    advance: part,
    node: fc.nat(SHARING.length - 1),
    since: mostly(-1, 0, 0.5, 1),
    extra: mostly(0, 2),
    plan: mostly(false, true),
    follows: mostly('yes', 'no', 'sets', 'tells'),
    other: fc.integer({ min: 1, max: 4 }),
    steps: fc.uniqueArray<typeof anything extends fc.Arbitrary<infer T> ? T : never, number>(step, {
      minLength: 1,
      maxLength: KEYS.length,
      selector: ({ key }) => key,
    }),
  })

  it.each(Object.keys(limits))('is settled alike by memory and by Redis: %s', async (what) => {
    const limit = (limits[what] as fc.Arbitrary<Algorithm>).filter(({ window }) => window > 10)
    const exchanges = fc.array(exchange, { minLength: 10, maxLength: 60 })
    // Windows of less than 396 ms have had more slices by now than 32 bits count.
    const start = fc.constantFrom(0, 2 ** 32 - 3, 2 ** 32 + 1)
    const property = fc.asyncProperty(limit, fc.constant(2), exchanges, start, (limit, times, all, start) =>
      answerAlikeFrom(limit.window < 396 ? start : 0, limit, times, all),
    )
    await fc.assert(property, { numRuns: fc.readConfigureGlobal().numRuns as number })
  })

  /** The row as builds before decision 0029 wrote it: all cells are full. */
  function asBefore(row: Buffer): Buffer {
    const [header, first, full] = [72, 85, 56]
    if (row.length <= first || row.length % 2 === 0) return row
    const settled = row.readDoubleBE(40)
    const counts = [0, 1, 2].map((kind) => row.readUInt32BE(header + 4 * kind))
    const cells: Buffer[] = []
    let at = first
    for (const [kind, count] of counts.entries())
      for (let left = count; left > 0; left--) {
        const cell = Buffer.alloc(full)
        row.copy(cell, 0, at, at + 8)
        const words = Array.from({ length: kind < 2 ? 2 : 6 }, (_, place) =>
          row.readUInt32BE(at + 8 + 4 * place),
        )
        const [admitted, demand] = words as [number, number]
        const named = settled - ((settled - admitted) % 2 ** 32)
        const numbers = kind < 2 ? [settled - kind, admitted, 0, 0, 0, demand] : [named, ...words.slice(1)]
        for (const [place, number] of numbers.entries()) cell.writeDoubleBE(number, 8 + 8 * place)
        cells.push(cell)
        at += 8 + 4 * words.length
      }
    return Buffer.concat([row.subarray(0, header), ...cells, row.subarray(at)])
  }

  it.each(Object.keys(limits))('is settled alike where an earlier build wrote its row: %s', async (what) => {
    const limit = (limits[what] as fc.Arbitrary<Algorithm>).filter(({ window }) => window > 10)
    const exchanges = fc.array(exchange, { minLength: 10, maxLength: 30 })
    const everySo = fc.integer({ min: 1, max: 4 })
    const property = fc.asyncProperty(limit, fc.constant(2), exchanges, everySo, (limit, times, all, turns) =>
      answerAlikeFrom(0, limit, times, all, async (name, place) => {
        if (place % turns > 0) return
        for (const file of await client.keys(`${PREFIX}:1:{${name}}:*`)) {
          if (!/:\d+$/.test(file)) continue
          for (const [key, row] of Object.entries(await client.hgetallBuffer(file)))
            await client.hset(file, key, asBefore(row))
        }
      }),
    )
    await fc.assert(property, { numRuns: Math.ceil((fc.readConfigureGlobal().numRuns as number) / 2) })
  })
})

describe('what a sliding log frees soon', () => {
  it('is booked alike by memory and by Redis', async () => {
    const limit = fc
      .tuple(fc.integer({ min: 3, max: 30 }), fc.constantFrom(97, 1000))
      .map(([limit, window]) => slidingLog({ limit, window }) as Algorithm)
    const part = fc.constantFrom(0, 0.02, 0.1, 0.2, 0.3)
    const soon = part.map<Advance>((part) => (at, window) => at + Math.floor(part * window))
    const asking = settle.map((step): Settle => {
      const ask: Settle['ask'] = [1, 0.25, 4 + step.admitted, 0, 700]
      return { ...step, key: 0, lag: 0, forgets: 0, how: 'new', restores: false, ask }
    })
    const taking = take.map((step) => ({ ...step, key: 0 }))
    const step = fc.oneof(taking, taking, asking)
    // By a plan of twice the limit: one that asks by the limit also finds more in use than that.
    const property = fc.asyncProperty(limit, fc.constant(2), history(step, soon, 12), answerAlike)
    await fc.assert(property, { numRuns: 3 * (fc.readConfigureGlobal().numRuns as number) })
  })
})

describe('a sliding log of more entries than a row holds', () => {
  const WINDOW = 10_000
  /** Settled by a node at once: so many entries, each so many milliseconds before the next, the last one now. */
  const burst = fc.record({
    kind: fc.constant('burst' as const),
    count: fc.integer({ min: 1, max: 90 }),
    gap: fc.constantFrom(0, 1, 2, 7, 40),
    /** Its clock went back now and then. */
    jolts: fc.boolean(),
    /** So much more does the first entry tell of, which the store has. */
    known: fc.constantFrom(0, 0, 2),
    cost: fc.integer({ min: 1, max: 3 }),
    /** So many entries of the slice before are told of too, the last of them so long before its end. */
    late: fc.record({ count: fc.constantFrom(0, 0, 1, 30), ago: fc.nat(WINDOW - 1) }),
  })
  const one: fc.Arbitrary<Operation> = fc.oneof(
    fc.array(cost, { minLength: 1, maxLength: 3 }).map((costs) => ['take', 'long', ...costs] as const),
    fc.constantFrom(3, 60, 400).map((cost) => ['take', 'long', cost] as const),
    fc.constantFrom(1, 20, 200, 700).map((cost) => ['refund', 'long', cost] as const),
    fc
      .tuple(fc.constantFrom(2, 40, 300), fc.nat(3000))
      .map(([cost, ago]) => ['refund', 'long', cost, ago] as const),
    fc.constantFrom(0, 50, 2000).map((ahead) => ['read', 'long', [1, 0.5, 50, 0, ahead]] as const),
    fc.constantFrom(1, 30, 300).map((cost) => ['charge', 'long', cost] as const),
    fc.constantFrom(['peek', 'long'] as const, ['reset', 'long'] as const),
  )
  const step = fc.record({
    passes: fc.oneof(
      fc.constantFrom(0, 1, 5),
      fc.integer({ min: 1, max: 3000 }),
      fc.constantFrom(WINDOW - 10, WINDOW, 2.5 * WINDOW),
    ),
    node: fc.nat(NODES.length - 1),
    does: fc.oneof({ weight: 3, arbitrary: burst }, { weight: 4, arbitrary: one }),
  })

  /** As after years in which the key was never idle: so much short of where what was ever admitted begins anew. */
  async function grow(name: string, short: number): Promise<void> {
    const [file] = (await client.keys(`${PREFIX}:1:{${name}}:*`)).filter((key) => /:\d+$/.test(key))
    const row = (await client.hgetBuffer(file as string, 'long')) as Buffer
    for (let at = 8; at < row.length; at += 16) row.writeDoubleBE(row.readDoubleBE(at) + 2 ** 52 - short, at)
    await client.hset(file as string, 'long', row)
  }

  it('is kept alike by memory and by Redis', async () => {
    const property = fc.asyncProperty(
      fc.constantFrom(50, 300, 900),
      fc.constantFrom(0, 3, 40),
      fc.array(step, { minLength: 5, maxLength: 40 }),
      async (most, short, steps) => {
        const name = `long-${names++}`
        const limit = slidingLog({ limit: most, window: WINDOW }) as Algorithm
        const tables = [memory, redis].map((store) => store.open(name, limit))
        const told = NODES.map(() => new Map<number, number>())
        let generation = 0
        now = 10 * WINDOW
        await both(tables, limit, NODES[0] as string, ['take', 'long', 1])
        if (short > 0) await grow(name, short)
        for (const { passes, node, does } of steps) {
          now += passes
          const slice = Math.floor(now / WINDOW)
          if (!('kind' in does)) {
            const [kind, key, cost, ago] = does
            const operation: Operation =
              kind === 'refund' && ago !== undefined ? [kind, key, cost, Math.max(0, now - ago)] : does
            const result = await both(tables, limit, NODES[node] as string, operation)
            if (result instanceof Snapshot && result.generation > generation) {
              generation = result.generation
              for (const counts of told) counts.clear()
            }
            continue
          }
          const entries: number[] = []
          for (let place = does.count - 1; place >= 0; place--) {
            const jolt = does.jolts && place % 5 === 0 ? 3 : 0
            entries.push(Math.max(slice * WINDOW, now - place * does.gap - jolt), does.cost)
          }
          entries[1] = does.cost + does.known
          const lateEntries: number[] = []
          for (let place = does.late.count - 1; place >= 0; place--) {
            const time = slice * WINDOW - 1 - does.late.ago - place * does.gap
            lateEntries.push(Math.max((slice - 1) * WINDOW, time), does.cost)
          }
          const counts = told[node] as Map<number, number>
          const admitted = (counts.get(slice) ?? 0) + does.count * does.cost
          counts.set(slice, admitted)
          const late = (counts.get(slice - 1) ?? 0) + does.late.count * does.cost
          counts.set(slice - 1, late)
          await both(tables, limit, NODES[node] as string, [
            'settle',
            'long',
            generation,
            slice,
            [admitted, 0, 0, 0],
            [late, 0, 0, 0],
            null,
            entries,
            lateEntries,
          ])
        }
        await checkExpiry(name)
      },
    )
    await fc.assert(property, { numRuns: 3 * (fc.readConfigureGlobal().numRuns as number) })
  })
})
