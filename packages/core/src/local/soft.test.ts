import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Limit } from '../algorithms/algorithm.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from '../algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from '../algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from '../algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from '../algorithms/token-bucket/token-bucket.ts'
import type { Clock } from '../clock.ts'
import { StoreError } from '../errors.ts'
import { createLimiter, type SoftLimiter } from '../limiter.ts'
import type { LimiterOptions } from '../options.ts'
import { memoryStore } from '../store/memory.ts'
import type { Reply, Request, Store, Table } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const RUNS = fc.readConfigureGlobal().numRuns as number
const INTERVAL = 1000
const DAY = 86_400_000
/** Within the first half of a window of 100 days, and far from its end. */
const START = 100 * DAY * 200 + DAY

const kinds: [name: string, make: (limit: number) => Limit][] = [
  ['fixed window', (limit) => fixedWindow({ limit, window: '100d' })],
  ['sliding window', (limit) => slidingWindow({ limit, window: '100d' })],
  ['sliding log', (limit) => slidingLog({ limit, window: '100d' })],
  ['token bucket', (limit) => tokenBucket({ capacity: limit, refill: 1, per: '12h' })],
  ['leaky bucket', (limit) => leakyBucket({ capacity: limit, leak: 1, per: '12h' })],
]

/** What befalls one request on its way; milliseconds for how long it is under way, there and back. */
interface Fate {
  there: number
  back: number
  what: 'arrives' | 'request lost' | 'reply lost' | 'twice' | 'refused'
}

/** A store behind a network, whose faults are given one by one, and then are over. */
class Network implements Store {
  fates: Fate[] = []
  latency = 0
  requests: Request[] = []
  private readonly under: Store

  constructor(private readonly clock: Clock) {
    this.under = memoryStore({ clock })
  }

  open(name: string, limit: Parameters<Store['open']>[1]): Table {
    const table = this.under.open(name, limit)
    return {
      known: true,
      now: () => table.now(),
      latest: () => table.latest(),
      exchange: (request) => this.carry(table, request),
    }
  }

  private async carry(table: Table, request: Request): Promise<Reply> {
    const sent = structuredClone(request) as Request
    this.requests.push(sent)
    const arrives: Fate = { what: 'arrives', there: this.latency, back: this.latency }
    const { what, there, back } = (this.fates.pop() as Fate | undefined) ?? arrives
    if (what === 'refused') throw new StoreError('ERR_STORE_AWAY', 'refused')
    await this.pass(there)
    if (what === 'request lost') return new Promise(() => {})
    const reply = await table.exchange(sent)
    if (what === 'twice')
      void Promise.resolve(this.pass(back + there)).then(() => table.exchange(sent).catch(() => {}))
    await this.pass(back)
    return what === 'reply lost' ? new Promise(() => {}) : reply
  }

  private pass(ms: number): Promise<void> | undefined {
    if (ms === 0) return undefined
    return new Promise((resolve) => this.clock.setTimer(resolve, ms))
  }

  async close(): Promise<void> {}
}

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

function world(limit: Limit, options: Partial<LimiterOptions<'soft'>> = {}) {
  const clock = new ManualClock(START)
  const store = new Network(clock)
  let seed = 1
  const node = (more: Partial<LimiterOptions<'soft'>> = {}): SoftLimiter =>
    createLimiter({
      ...{ name: 'soft', limit, mode: 'soft', store, clock, sync: { interval: INTERVAL } },
      ...{ random: seeded(seed++), ...options, ...more },
    })
  const used = async (key: string): Promise<number> => {
    const hard = createLimiter({ name: 'soft', limit, store, clock })
    const { allowed, remaining } = await run(clock, hard.peek(key))
    await run(clock, hard.close())
    return limit.limit - remaining - (allowed ? 1 : 0)
  }
  return { clock, store, node, used }
}

/** Lets time pass until the promise is settled. */
async function run<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let over = false
  const end = () => {
    over = true
  }
  promise.then(end, end)
  for (let step = 0; step < 20_000 && !over; step++) await clock.advance(step < 3 ? 0 : 1)
  expect(over).toBe(true)
  return promise
}

const fate: fc.Arbitrary<Fate> = fc.record({
  there: fc.nat(70),
  back: fc.nat(70),
  what: fc.constantFrom('arrives', 'arrives', 'request lost', 'reply lost', 'twice', 'refused'),
})
const step = fc.record({
  node: fc.nat(2),
  key: fc.constantFrom('a', 'b', 'c'),
  cost: fc.integer({ min: 1, max: 3 }),
  what: fc.constantFrom('sync', 'sync', 'check', 'refund', 'flush'),
  wait: fc.oneof(fc.constant(0), fc.nat(100), fc.nat(1500)),
})

describe.each(kinds)('%s', (_, make) => {
  it('settles exactly once, whatever is lost or comes twice', async () => {
    const schedule = fc.record({
      limit: fc.constantFrom(8, 1000),
      maxKeys: fc.constantFrom(1, 2, 100),
      fates: fc.array(fate, { maxLength: 25 }),
      steps: fc.array(step, { minLength: 1, maxLength: 30 }),
    })
    await fc.assert(
      fc.asyncProperty(schedule, async ({ limit, maxKeys, fates, steps }) => {
        const { clock, store, node, used } = world(make(limit), { maxKeys })
        const nodes = [node(), node(), node()]
        const count: Record<string, number> = { a: 0, b: 0, c: 0 }
        const own = nodes.map(() => ({ a: 0, b: 0, c: 0 }) as Record<string, number>)
        const asked: Promise<unknown>[] = []
        const note = (place: number, key: string, cost: number) => {
          count[key] = (count[key] as number) + cost
          const mine = own[place] as Record<string, number>
          mine[key] = (mine[key] as number) + cost
        }
        store.fates = [...fates]
        for (const { node: place, key, cost, what, wait } of steps) {
          const limiter = nodes[place] as SoftLimiter
          if (what === 'flush') asked.push(limiter.flush().catch(() => {}))
          else if (what === 'check') {
            asked.push(
              limiter.check(key, { cost }).then((decision) => {
                expect(decision.remaining).toBeGreaterThanOrEqual(0)
                if (decision.allowed && decision.source === 'local') note(place, key, cost)
              }),
            )
          } else if (what === 'sync') {
            const decision = limiter.checkSync(key, { cost })
            expect(decision.remaining).toBeGreaterThanOrEqual(0)
            if (decision.allowed) note(place, key, cost)
          } else if (what === 'refund' && maxKeys === 100 && (own[place]?.[key] as number) >= cost) {
            // of a key that stays in RAM, so that the node's view has at least what it admitted itself
            note(place, key, -cost)
            asked.push(limiter.refund(key, cost))
          }
          await clock.advance(wait)
        }
        store.fates = []
        // past the longest time to the next probe
        await clock.advance(12_000)
        await Promise.all(asked)
        for (const limiter of nodes) await run(clock, limiter.flush())
        await clock.advance(500)
        for (const limiter of nodes) expect(limiter.stats()).toMatchObject({ pending: 0, expired: 0 })
        for (const key of ['a', 'b', 'c']) {
          expect([key, await used(key)]).toEqual([key, Math.min(limit, count[key] as number)])
        }
        for (const limiter of nodes) await run(clock, limiter.close())
        expect(clock.waiting).toBe(0)
      }),
      { numRuns: Math.ceil(RUNS / 5) },
    )
  })

  it('stays within the soft bound', async () => {
    const schedule = fc.record({
      limit: fc.integer({ min: 1, max: 60 }),
      latency: fc.nat(20),
      steps: fc.array(
        fc.record({ node: fc.nat(3), cost: fc.integer({ min: 1, max: 4 }), wait: fc.nat(200) }),
        { minLength: 1, maxLength: 60 },
      ),
    })
    await fc.assert(
      fc.asyncProperty(schedule, async ({ limit, latency, steps }) => {
        const { clock, store, node } = world(make(limit), { name: 'bound' })
        store.latency = latency
        const nodes = [node(), node(), node(), node()]
        const offers: { node: number; time: number; cost: number }[] = []
        let usage = 0
        for (const { node: place, cost, wait } of steps) {
          offers.push({ node: place, time: clock.wall(), cost })
          if ((nodes[place] as SoftLimiter).checkSync('key', { cost }).allowed) usage += cost
          await clock.advance(wait)
        }
        // From one flush being sent to the next one's reply: an interval after the first one's reply.
        const stretch = INTERVAL + 4 * latency + 1
        const terms = nodes.map((_, place) => {
          const mine = offers.filter((offer) => offer.node === place)
          const within = mine.map(({ time }) =>
            mine.reduce(
              (sum, offer) => (offer.time >= time && offer.time <= time + stretch ? sum + offer.cost : sum),
              0,
            ),
          )
          // r·T_e is far below 1
          return Math.min(Math.max(0, ...within), limit)
        })
        terms.sort((one, other) => one - other)
        const overshoot = terms.slice(1).reduce((sum, term) => sum + term, 0)
        expect(usage).toBeLessThanOrEqual(limit + overshoot)
        for (const limiter of nodes) await run(clock, limiter.close())
      }),
      { numRuns: Math.ceil(RUNS / 5) },
    )
  })

  it('has every node know of a reset, a block and a refund within an interval', async () => {
    const { clock, node } = world(make(3))
    const [actor, idle, busy] = [node(), node(), node()] as [SoftLimiter, SoftLimiter, SoftLimiter]
    await run(clock, actor.check('key', { cost: 3 }))
    await run(clock, actor.flush())
    for (const other of [idle, busy])
      expect(await run(clock, other.check('key'))).toMatchObject({ allowed: false })

    const within = async () => {
      for (let passed = 0; passed < INTERVAL; passed += 100) {
        busy.checkSync('other')
        await clock.advance(100)
      }
      return Promise.all([idle, busy].map((other) => other.peek('key')))
    }
    expect(await actor.refund('key', 1)).toBe(true)
    expect(await within()).toMatchObject([{ remaining: 0, allowed: true }, { allowed: true }])
    expect(await actor.block('key', '1h')).toBe(true)
    expect(actor.checkSync('key')).toMatchObject({ reason: 'blocked' })
    expect(await within()).toMatchObject([{ reason: 'blocked' }, { reason: 'blocked' }])
    expect(await actor.reset('key')).toBe(true)
    expect(await within()).toMatchObject([
      { allowed: true, remaining: 2 },
      { allowed: true, remaining: 2 },
    ])
  })

  it('counts what a cold key is charged after a reset that it slept through', async () => {
    const { clock, node, used } = world(make(10))
    const one = node()
    await run(clock, one.check('key', { cost: 5 }))
    expect(await one.reset('key')).toBe(true)
    const late = node()
    expect(late.checkSync('key', { cost: 3 }).allowed).toBe(true)
    await run(clock, late.flush())
    expect(await used('key')).toBe(3)
  })
})

describe('cold keys', () => {
  const limit = fixedWindow({ limit: 10, window: '1d' })

  it('are read before the first check is answered, all in one call', async () => {
    const { clock, store, node } = world(limit)
    const one = node()
    one.checkSync('key', { cost: 10 })
    await run(clock, one.flush())
    store.latency = 5
    const other = node()
    let answers = 0
    const checks = ['key', 'key', 'new'].map((key) => other.check(key).finally(() => answers++))
    await clock.advance(9)
    expect(answers).toBe(0)
    await clock.advance(1)
    expect(await Promise.all(checks)).toMatchObject([
      { allowed: false },
      { allowed: false },
      { allowed: true },
    ])
    expect(store.requests.filter(({ operations }) => operations[0]?.[0] === 'read')).toHaveLength(2)
  })

  it('are settled at once, and admitted by checkSync without waiting', async () => {
    const { clock, node, used } = world(limit)
    const one = node()
    expect(one.checkSync('key', { cost: 4 })).toMatchObject({ allowed: true, remaining: 6, source: 'local' })
    await clock.advance(0)
    expect(one.stats().pending).toBe(0)
    expect(await used('key')).toBe(4)
  })

  it('make a check wait no longer than the timeout, also after a read was lost', async () => {
    const { clock, store, node } = world(limit, { timeout: 100 })
    const one = node()
    const lost: Fate = { what: 'request lost', there: 0, back: 0 }
    store.fates = [lost, lost]
    for (let attempt = 0; attempt < 2; attempt++) {
      let answered = false
      void one.peek('key').finally(() => {
        answered = true
      })
      await clock.advance(99)
      expect(answered).toBe(false)
      await clock.advance(1)
      expect(answered).toBe(true)
    }
    await run(clock, one.close())
  })
})

describe('keys in RAM', () => {
  it('are not forgotten while they owe something', async () => {
    const { clock, store, node, used } = world(fixedWindow({ limit: 10, window: '1d' }), { maxKeys: 2 })
    const one = node()
    const keys = Array.from({ length: 20 }, (_, place) => `key ${place}`)
    const refused: Fate = { what: 'request lost', there: 0, back: 0 }
    store.fates = [refused, refused]
    for (const key of keys) expect(one.checkSync(key, { cost: 2 }).allowed).toBe(true)
    expect(one.stats().pending).toBe(40)
    await clock.advance(2 * INTERVAL)
    await run(clock, one.flush())
    expect(one.stats()).toMatchObject({ pending: 0, keys: 2 })
    for (const key of keys) expect(await used(key)).toBe(2)
  })

  it('count a check whose key was evicted while it waited', async () => {
    const { clock, store, node, used } = world(fixedWindow({ limit: 10, window: '1d' }), { maxKeys: 1 })
    store.latency = 3
    const one = node()
    const checks = ['a', 'b', 'a', 'c', 'b', 'a'].map((key) => one.check(key))
    await clock.advance(6)
    await Promise.all(checks)
    await run(clock, one.flush())
    expect([await used('a'), await used('b'), await used('c')]).toEqual([3, 2, 1])
  })

  it('take in a reset that came while another answer of theirs was under way', async () => {
    const { clock, store, node } = world(fixedWindow({ limit: 10, window: '1d' }))
    const [one, other] = [node(), node()]
    await run(clock, one.check('key', { cost: 10 }))
    await run(clock, one.flush())
    // the read is answered before the reset, and its answer arrives after the list of changes
    other.checkSync('first')
    await clock.advance(INTERVAL - 250)
    store.fates = [{ what: 'arrives', there: 0, back: 90 }]
    const check = other.check('key')
    await clock.advance(1)
    await one.reset('key')
    await clock.advance(90)
    await check
    await clock.advance(2 * INTERVAL)
    expect(await other.peek('key')).toMatchObject({ remaining: 9 })
  })
})

it('leaves nothing pending and no timer at the end', async () => {
  const { clock, store, node, used } = world(fixedWindow({ limit: 100, window: '1d' }))
  store.latency = 10
  const one = node()
  for (let check = 0; check < 5; check++) one.checkSync('key')
  const flushed = one.flush()
  for (let check = 0; check < 5; check++) one.checkSync('key')
  await run(clock, flushed)
  expect(one.stats().pending).toBe(0)
  for (let check = 0; check < 5; check++) one.checkSync('key')
  await run(clock, one.close())
  expect(one.stats().pending).toBe(0)
  expect(clock.waiting).toBe(0)
  expect(await used('key')).toBe(15)
})

it('keeps what is pending where a flush is not acknowledged', async () => {
  const { clock, store, node, used } = world(fixedWindow({ limit: 100, window: '1d' }))
  const one = node()
  await run(clock, one.check('key'))
  await clock.advance(INTERVAL)
  one.checkSync('key', { cost: 2 })
  store.fates = [{ what: 'reply lost', there: 1, back: 1 }]
  await expect(run(clock, one.flush())).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
  expect(one.stats().pending).toBe(2)
  one.checkSync('key', { cost: 3 })
  await run(clock, one.flush())
  expect(one.stats().pending).toBe(0)
  expect(await used('key')).toBe(6)
})

it('admits what the store has booked for a node that asked for nothing before', async () => {
  const { clock, node } = world(slidingLog({ limit: 4, window: '10s' }))
  const one = node()
  const two = node()
  for (let turn = 0; turn < 2; turn++) {
    await one.check('key')
    await one.refund('key')
  }
  await one.check('key')
  // The other one has by then said how much it is asked for.
  await clock.advance(0.9 * INTERVAL)
  expect(await two.check('key')).toMatchObject({ allowed: true, remaining: 2 })
})
