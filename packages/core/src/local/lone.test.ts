import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import type { Algorithm } from '../algorithms/algorithm.ts'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  leakyBucket,
  memoryStore,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { ManualClock } from '../testing.ts'
import { LocalDecisions } from './local-decisions.ts'

const INTERVAL = 1000

function world() {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  const limiter = (limit: Limit = fixedWindow({ limit: 1000, window: '1h' }), maxKeys = 1000) =>
    createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random: () => 0.5, maxKeys })
  return { clock, limiter }
}

test.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 1000, window: '1h' })],
  ['token bucket', tokenBucket({ capacity: 1000, refill: 1000, per: '1h' })],
])('a node that is alone does not settle each interval: %s', async (_, limit) => {
  const { clock, limiter } = world()
  const one = limiter(limit)
  for (let check = 0; check < 100; check++) {
    expect(one.checkSync('key').allowed).toBe(true)
    await clock.advance(INTERVAL)
  }
  expect(one.stats().storeEntries).toBeLessThan(5)
  await one.flush()
  expect(one.stats()).toMatchObject({ pending: 0, expired: 0 })
  await one.close()
})

test('a node that is alone asks about a key once, and from then on looks at its row only', async () => {
  const { clock, limiter } = world()
  const one = limiter()
  const keys = Array.from({ length: 20 }, (_, place) => `key-${place}`)
  for (const key of keys) one.checkSync(key)
  await one.flush()
  const { storeEntries } = one.stats()
  const long = vi.spyOn(LocalDecisions.prototype, 'checkHeldSync')
  for (let check = 0; check < 100; check++) {
    for (const key of keys) expect(one.checkSync(key).allowed).toBe(true)
    await clock.advance(INTERVAL / 10)
  }
  expect(long).not.toHaveBeenCalled()
  expect(one.stats().storeEntries).toBe(storeEntries)
  long.mockRestore()
  await one.close()
})

test('of a key that was blocked a node that is alone looks at its row only, as before, once that is over', async () => {
  const { clock, limiter } = world()
  const one = limiter()
  await one.check('key')
  await one.block('key', '2s')
  expect(one.checkSync('key').reason).toBe('blocked')
  await clock.advance(2 * INTERVAL)
  expect(one.checkSync('key').allowed).toBe(true)
  one.checkSync('key')
  const long = vi.spyOn(LocalDecisions.prototype, 'checkHeldSync')
  for (let check = 0; check < 100; check++) {
    expect(one.checkSync('key').allowed).toBe(true)
    await clock.advance(INTERVAL / 10)
  }
  expect(long).not.toHaveBeenCalled()
  long.mockRestore()
  await one.close()
})

test.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 1000, window: '1h' })],
])('another node that comes later hears of all that was admitted before: %s', async (_, limit) => {
  const { clock, limiter } = world()
  const one = limiter(limit)
  for (let check = 0; check < 400; check++) {
    expect(one.checkSync('key').allowed).toBe(true)
    if (check % 100 === 0) await clock.advance(INTERVAL)
  }
  const two = limiter(limit)
  expect((await two.check('key')).remaining).toBe(599)
  expect(one.checkSync('key').allowed).toBe(true)
  await clock.advance(2 * INTERVAL)
  expect(one.stats().pending).toBe(0)
  await two.check('key')
  await clock.advance(2 * INTERVAL)
  expect((await two.peek('key')).remaining).toBe(596)
  await one.close()
  await two.close()
})

test.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 1000, window: '1h' })],
  ['token bucket', tokenBucket({ capacity: 1000, refill: 1, per: '1h' })],
])(
  'another node hears also of what is admitted of a key that owed nothing when it came: %s',
  async (_, limit) => {
    const { clock, limiter } = world()
    const one = limiter(limit)
    for (let check = 0; check < 20; check++) one.checkSync('key')
    await one.flush()
    const two = limiter(limit)
    for (let check = 0; check < 200; check++) expect(one.checkSync('key').allowed).toBe(true)
    await clock.advance(2 * INTERVAL)
    expect((await two.check('key')).remaining).toBe(779)
    await one.close()
    await two.close()
  },
)

/** As `world`, by a clock that tells when a turn of the event loop is over: what goes on then is called by `turn`. */
function turning() {
  const begun: (() => void)[] = []
  const clock = Object.assign(new ManualClock(1_000_000), {
    afterTurn: (callback: () => void) => void begun.push(callback),
  })
  const store = memoryStore({ clock })
  const limiter = () =>
    createLimiter({ name: 'api', limit: BRISK, mode: 'soft', store, clock, random: () => 0.5 })
  const turn = async () => {
    for (const callback of begun.splice(0)) callback()
    await clock.advance(0)
  }
  /** Until nothing waits for another turn; returns how many there were. */
  const turns = async () => {
    let many = 0
    for (; begun.length > 0; many++) await turn()
    return many
  }
  return { clock, limiter, turn, turns }
}

const BRISK = tokenBucket({ capacity: 1000, refill: 100, per: '1s' })

/** Of so many keys a node has admitted 300, of which 200 have drained. */
async function many(keys: number) {
  const world = turning()
  const one = world.limiter()
  const names = Array.from({ length: keys }, (_, place) => `key-${place}`)
  for (const name of names) one.checkSync(name)
  await world.clock.advance(1000)
  await world.turns()
  for (const name of names) for (let check = 0; check < 300; check++) one.checkSync(name)
  await world.clock.advance(2000)
  await world.turns()
  return { ...world, one, names }
}

test('another node hears of many keys in turns of the event loop, none of them long', async () => {
  const { clock, limiter, one, names, turn, turns } = await many(9000)
  const pending = 300 * names.length
  expect(one.stats().pending).toBe(pending)
  limiter()
  await clock.advance(0)
  // A quarter of the keys was looked at.
  expect(one.stats().pending).toBeGreaterThan(pending / 2)
  for (let round = 0; round < 4; round++) await turn()
  // A tenth of them has been settled since.
  expect(one.stats().pending).toBeGreaterThan(80 * names.length)
  expect(await turns()).toBeGreaterThan(5)
  expect(one.stats().pending).toBe(0)
})

test('what drains of a bucket while another node is still to hear of it is not forgotten: that one may have taken of it', async () => {
  const { clock, limiter, names, turns } = await many(5000)
  const two = limiter()
  const last = names.at(-1) as string
  // This node has 100 in use of its own.
  for (let check = 0; check < 400; check++) expect(two.checkSync(last).allowed).toBe(true)
  await two.flush()
  await clock.advance(500)
  await turns()
  await clock.advance(2000)
  await turns()
  // Of 500 in use then 250 have drained.
  expect((await two.peek(last)).remaining).toBeLessThanOrEqual(750)
})

test('a limiter that was closed is no node beside the next one', async () => {
  const { clock, limiter } = world()
  const one = limiter()
  await one.check('key')
  await one.close()
  const { storeEntries } = one.stats()
  // Longer than a node counts as one that does not speak.
  await clock.advance(60 * INTERVAL)
  const two = limiter()
  await two.check('key')
  two.checkSync('key')
  await clock.advance(INTERVAL)
  expect(one.stats().storeEntries).toBe(storeEntries)
  two.checkSync('key')
  expect(two.stats().estimatedOvershoot).toBe(0)
  await two.close()
})

test('a key that was pushed out of RAM is remembered', async () => {
  const { clock, limiter } = world()
  const one = limiter(undefined, 64)
  for (let check = 0; check < 300; check++) one.checkSync('key')
  for (let key = 0; key < 500; key++) {
    one.checkSync(`other-${key}`)
    await clock.advance(5)
  }
  await clock.advance(2 * INTERVAL)
  expect((await one.check('key')).remaining).toBe(699)
  await one.close()
})

test('what was admitted in a window that is over is not counted as lost', async () => {
  const { clock, limiter } = world()
  const one = limiter(fixedWindow({ limit: 10, window: '10s' }))
  for (let check = 0; check < 50; check++) {
    one.checkSync('key')
    await clock.advance(INTERVAL)
  }
  expect(one.stats().expired).toBe(0)
  await one.close()
})

const HOURLY = tokenBucket({ capacity: 1000, refill: 1000, per: '1h' })

/** Admits 300 of a bucket, each of which has drained when the next comes. */
async function drained() {
  const { clock, limiter } = world()
  const one = limiter(HOURLY, 64)
  await one.check('key')
  for (let check = 0; check < 300; check++) {
    expect(one.checkSync('key').allowed).toBe(true)
    await clock.advance(4000)
  }
  expect(one.stats().pending).toBeGreaterThan(290)
  return { clock, one, limiter }
}

test.each<[string, (world: Awaited<ReturnType<typeof drained>>) => Promise<unknown>]>([
  ['by flush', ({ one }) => one.flush()],
  ['with the answer to a penalty', ({ one }) => one.penalty('key', 1)],
  [
    'when the key is pushed out of RAM',
    async ({ one, clock }) => {
      for (let key = 0; key < 500; key++) {
        one.checkSync(`other-${key}`)
        await clock.advance(5)
      }
      await clock.advance(2 * INTERVAL)
    },
  ],
])('what has drained of a bucket is not settled: %s', async (_, act) => {
  const world = await drained()
  const { one } = world
  await act(world)
  expect((await one.check('key')).remaining).toBeGreaterThanOrEqual(997)
  await one.close()
})

test('what has drained of a bucket is not settled: when another node comes', async () => {
  const { one, limiter } = await drained()
  const two = limiter(HOURLY)
  await two.check('key')
  await two.flush()
  expect((await two.check('key')).remaining).toBeGreaterThanOrEqual(996)
  await one.close()
  await two.close()
})

test('a flush is done when what it owed has drained', async () => {
  const clock = new ManualClock(1_000_000)
  const limit = tokenBucket({ capacity: 1000, refill: 100, per: '1s' })
  const one = createLimiter({
    name: 'api',
    limit,
    mode: 'soft',
    store: slowStore(
      clock,
      () => 100,
      () => 0,
    ),
    timeout: '10s',
    clock,
    random: () => 0.5,
  })
  // More than travel at a time: the last commands leave with the answers to the first.
  const keys = Array.from({ length: 2600 }, (_, place) => `key-${place}`)
  const check = () => {
    for (const key of keys) expect(one.checkSync(key).allowed).toBe(true)
  }
  check()
  await clock.advance(INTERVAL)
  check()
  const flushed = one.flush()
  await clock.advance(199)
  // Owed when the last of them is answered; of some it has drained when their next command leaves.
  check()
  await clock.advance(INTERVAL)
  await expect(flushed).resolves.toBeUndefined()
  const closed = one.close()
  await clock.advance(INTERVAL)
  await closed
})

type Act = readonly [
  what: 'check' | 'refund' | 'penalty' | 'flush' | 'others' | 'look',
  cost: number,
  wait: number,
]

const acts = fc.array(
  fc.tuple(
    fc.constantFrom<Act[0]>(
      'check',
      'check',
      'check',
      'check',
      'refund',
      'penalty',
      'flush',
      'others',
      'look',
    ),
    fc.integer({ min: 1, max: 8 }),
    fc.oneof(fc.constant(0), fc.nat(300), fc.nat(20_000)),
  ),
  { minLength: 1, maxLength: 60 },
)

test.each([
  ['token bucket', tokenBucket({ capacity: 20, refill: 7, per: '1s' })],
  ['leaky bucket', leakyBucket({ capacity: 20, leak: 7, per: '1s' })],
])(
  'a bucket that nobody else takes from is settled late, and by no more than is in use then: %s',
  async (_, limit) => {
    const algorithm = limit as Algorithm
    const alike = async (history: readonly Act[], joins: boolean) => {
      const { clock, limiter } = world()
      const one = limiter(limit, 16)
      const state = algorithm.create()
      await one.check('key')
      algorithm.take(state, clock.wall(), 1, 'local', true)
      const check = async (by: typeof one, cost: number) => {
        const left = limit.limit - algorithm.usage(state, clock.wall())
        const { allowed, remaining } = await by.check('key', { cost })
        if (allowed) algorithm.settle(state, clock.wall(), 0, cost)
        // Whole tokens are settled: each time a part of one may count as all of it.
        const parts = one.stats().storeCalls + 1
        const less = Math.max(0, left - (allowed ? cost : 0)) - remaining
        expect(less).toBeGreaterThanOrEqual(0)
        expect(less).toBeLessThanOrEqual(parts)
        if (!allowed) expect(cost).toBeGreaterThan(left - parts)
      }
      for (const [what, cost, wait] of history) {
        await clock.advance(wait)
        if (what === 'check') await check(one, cost)
        else if (what === 'flush') await one.flush()
        else if (what === 'look') expect(one.stats().expired).toBe(0)
        else if (what === 'others') for (let key = 0; key < 40; key++) await one.check(`other-${key}`)
        else if (what === 'refund') {
          if (algorithm.usage(state, clock.wall()) < cost) continue
          await one.refund('key', cost)
          algorithm.refund(state, clock.wall(), 0, cost)
        } else {
          await one.penalty('key', cost)
          algorithm.settle(state, clock.wall(), 0, cost)
        }
      }
      await one.flush()
      if (joins) {
        const two = limiter(limit, 16)
        await check(two, 1)
        await two.close()
      }
      await one.close()
    }
    await fc.assert(fc.asyncProperty(acts, fc.boolean(), alike))
  },
)

test.each([
  ['fixed window', fixedWindow({ limit: 1000, window: '1s' })],
  ['token bucket', tokenBucket({ capacity: 1000, refill: 1000, per: '1s' })],
])(
  'what was over before a second node came has not expired, also of keys looked at before they are told of: %s',
  async (_, limit) => {
    const { clock, limiter } = world()
    const one = limiter(limit, 10_000)
    const keys = Array.from({ length: 5000 }, (_, place) => `key-${place}`)
    for (const key of keys) one.checkSync(key)
    await one.flush()
    for (const key of keys) one.checkSync(key)
    await clock.advance(5000)
    const two = limiter(limit, 10_000)
    for (const key of keys) one.checkSync(key)
    await clock.advance(3000)
    expect(one.stats().expired).toBe(0)
    await one.close()
    await two.close()
  },
)

test.each([
  ['fixed window', fixedWindow({ limit: 20, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 20, window: '1h' })],
  ['token bucket', tokenBucket({ capacity: 20, refill: 1, per: '1h' })],
])(
  'a node that is alone refuses a key that is used up by its row alone, and asks nobody: %s',
  async (_, limit) => {
    const { clock, limiter } = world()
    const one = limiter(limit)
    while (one.checkSync('key').allowed);
    await one.flush()
    one.checkSync('key')
    const { storeEntries } = one.stats()
    const closer = vi.spyOn(LocalDecisions.prototype, 'checkSync')
    for (let check = 0; check < 100; check++) {
      expect(one.checkSync('key')).toMatchObject({ allowed: false, reason: 'limit' })
      await clock.advance(10)
    }
    expect(closer).not.toHaveBeenCalled()
    expect(one.stats().storeEntries).toBe(storeEntries)
    closer.mockRestore()
    // Another node is told of what was refused before, and this one asks again.
    const two = limiter(limit)
    expect((await two.check('key')).allowed).toBe(false)
    expect(one.checkSync('key').allowed).toBe(false)
    await one.close()
    await two.close()
  },
)
