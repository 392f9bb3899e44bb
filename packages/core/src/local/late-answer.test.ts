import { expect, test } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { createLimiter, fixedWindow, type Limit, memoryStore, slidingWindow, tokenBucket } from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

function world(limit: Limit, delay: () => number, random = () => 0.5) {
  const clock = new ManualClock(1_000_000)
  const store = slowStore(clock, delay)
  const options = { name: 'api', limit, store, clock, timeout: '10s', maxKeys: 16 } as const
  const one = createLimiter({ ...options, mode: 'soft', random })
  const close = async () => {
    const closed = one.close()
    await clock.advance(30_000)
    await closed
  }
  const burst = (checks: number) => {
    let admitted = 0
    for (let check = 0; check < checks; check++) if (one.checkSync('key').allowed) admitted++
    return admitted
  }
  return { clock, one, burst, close }
}

const BUCKET = tokenBucket({ capacity: 1000, refill: 100, per: '1s' })

test('what drains of a bucket while its settlement is under way does not drain a second time', async () => {
  const { clock, one, burst, close } = world(BUCKET, () => 50)
  burst(1)
  await clock.advance(20_000)
  const began = clock.wall()
  let admitted = burst(1200)
  for (let round = 0; round < 12; round++) {
    const flushed = one.flush()
    await clock.advance(150)
    await flushed
    admitted += burst(1200)
    expect(admitted).toBeLessThanOrEqual(1000 + Math.floor((clock.wall() - began) / 10))
  }
  await close()
})

/** A node alone on its store, whose commands take as long as is said, and what is in use of its bucket by all that it admits. */
async function alone() {
  const clock = new ManualClock(1_000_000)
  const took = { there: 0, back: 0 }
  const store = slowStore(
    clock,
    () => took.there,
    () => took.back,
  )
  const options = { name: 'api', limit: BUCKET, store, clock, timeout: '1s', maxKeys: 16 } as const
  const limiter = () => createLimiter({ ...options, mode: 'soft', random: () => 0.5 })
  const one = limiter()
  const algorithm = BUCKET as Algorithm
  const used = algorithm.create()
  const burst = (checks: number) => {
    let admitted = 0
    for (let check = 0; check < checks; check++) if (one.checkSync('key').allowed) admitted++
    algorithm.settle(used, clock.wall(), 0, admitted)
    return admitted
  }
  /** Until it is over, well or not. */
  const flush = async () => {
    let isOver = false
    const over = () => {
      isOver = true
    }
    one.flush().then(over, over)
    while (!isOver) await clock.advance(10)
  }
  burst(1)
  await clock.advance(1000)
  /** The node gives what is left, and no more. */
  const ends = async () => {
    took.there = took.back = 0
    await flush()
    const left = BUCKET.limit - algorithm.usage(used, clock.wall())
    expect(left).toBeLessThan(1000)
    expect(burst(2000)).toBe(left)
    const closed = one.close()
    await clock.advance(1000)
    await closed
  }
  return { clock, took, limiter, one, burst, flush, ends }
}

test('what a lone node admits of a key that it had pushed out of RAM drains behind what the store has', async () => {
  const { clock, took, one, burst, flush, ends } = await alone()
  // One that has nothing left would be kept.
  burst(900)
  for (let key = 0; key < 100; key++) one.checkSync(`other-${key}`)
  await flush()
  took.there = took.back = 400
  await clock.advance(1000)
  burst(50)
  await clock.advance(900)
  await ends()
})

test('what a lone node has settled with an answer that was lost is not what it admits later', async () => {
  const { clock, took, burst, flush, ends } = await alone()
  burst(100)
  took.back = 3000
  await flush()
  took.back = 0
  await clock.advance(1000)
  burst(100)
  await ends()
})

test('what a lone node settles while another one comes is not what it admits later', async () => {
  const { clock, took, limiter, one, burst, ends } = await alone()
  burst(100)
  took.back = 900
  void one.flush()
  await clock.advance(1)
  took.back = 0
  await clock.advance(800)
  limiter()
  burst(100)
  await ends()
})

test('what was admitted before a window ended does not count after it, where an answer comes between', async () => {
  const limit = fixedWindow({ limit: 60, window: '3s' })
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed)
    const below = (n: number) => Math.floor(random() * n)
    const { clock, one, close } = world(limit, () => 1 + below(100), random)
    const algorithm = limit as Algorithm
    const state = algorithm.create()
    one.checkSync('key')
    algorithm.settle(state, clock.wall(), 0, 1)
    await clock.advance(500)
    const flushes: Promise<void>[] = []
    for (let step = 0; step < 150; step++) {
      await clock.advance([0, 1, below(60), below(300), below(4000)][below(5)] as number)
      if (below(4) === 0) flushes.push(one.flush())
      else
        for (let check = 1 + below(30); check > 0; check--) {
          const now = clock.wall()
          const { allowed } = one.checkSync('key')
          expect(allowed).toBe(algorithm.usage(state, now) < 60)
          if (allowed) algorithm.settle(state, now, 0, 1)
        }
    }
    await close()
    await Promise.all(flushes)
  }
})

test.each([
  ['fixed window', fixedWindow({ limit: 24, window: '3s' })],
  ['sliding window', slidingWindow({ limit: 24, window: '3s' })],
  ['token bucket', tokenBucket({ capacity: 24, refill: 24, per: '3s' })],
])(
  'a penalty is known of at once, also long after a reset that the store has forgotten: %s',
  async (_, limit) => {
    const clock = new ManualClock(1_000_000)
    const one = createLimiter({ name: 'api', limit, mode: 'soft', store: memoryStore({ clock }), clock })
    await one.check('key')
    await one.reset('key')
    for (let windows = 0; windows < 4; windows++) {
      one.checkSync('key')
      await clock.advance(3000)
    }
    await one.penalty('key', 91)
    expect(one.checkSync('key')).toMatchObject({ allowed: false, reason: 'limit' })
    await one.close()
  },
)

test.each([
  ['fixed window', fixedWindow({ limit: 200, window: '2s' })],
  ['token bucket', tokenBucket({ capacity: 200, refill: 200, per: '2s' })],
])(
  'what was asked for before a window ended, or booked for others, is no reason to refuse after it: %s',
  async (_, limit) => {
    const clock = new ManualClock(1_000_000)
    const random = seededRandom(1)
    const store = slowStore(clock, () => 20)
    const options = { name: 'api', limit, mode: 'leased', store, clock, random, timeout: '5s' } as const
    const nodes = Array.from({ length: 3 }, () => createLimiter(options))
    const keys = Array.from({ length: 20 }, (_, key) => ({ name: `key-${key}`, asked: 0 }))
    let refused = 0
    for (let now = 0; now < 12_000; now += 5) {
      const window = Math.floor(now / 2000)
      if (now % 2000 === 0) for (const key of keys) key.asked = 0
      // 80 % of the limit, in all. In the first windows they learn of each other.
      for (const key of keys)
        for (const node of nodes)
          if (random() < 0.8 / 6) {
            // The last few may be booked for another node.
            const isMuchLeft = ++key.asked <= 150
            void node.check(key.name).then(({ allowed }) => {
              if (!allowed && isMuchLeft && window >= 2) refused++
            })
          }
      await clock.advance(5)
    }
    expect(refused).toBe(0)
    const closed = Promise.all(nodes.map((node) => node.close()))
    await clock.advance(10_000)
    await closed
  },
)

test.each(
  [fixedWindow({ limit: 100, window: '10s' }), slidingWindow({ limit: 100, window: '10s' }), BUCKET].flatMap(
    (limit) =>
      (
        [
          ['leased', {}],
          ['soft', {}],
          ['soft', { maxOvershoot: 0.1 }],
        ] as const
      ).map(([mode, sync]) => [limit.algorithm, mode, sync, limit] as const),
  ),
)('%s, %s %o: of a window whose end an answer came over nothing stays owed', async (_, mode, sync, limit) => {
  const clock = new ManualClock(1_000_000)
  let back = 0
  const store = slowStore(
    clock,
    () => 0,
    () => back,
  )
  const node = createLimiter({ name: 'api', limit, mode, sync, store, clock, random: () => 0.5 })
  await node.check('warm')
  await clock.advance(9990)
  await node.check('key')
  back = 30
  const checks = Promise.all(Array.from({ length: 12 }, () => node.check('key')))
  await clock.advance(200)
  await checks
  back = 0
  await clock.advance(2000)
  const call = await node.reserve('key', 5)
  await node.flush()
  expect(await call.release()).toBe(true)
  const { storeEntries } = node.stats()
  await clock.advance(5000)
  expect(node.stats().storeEntries - storeEntries).toBeLessThan(3)
  await node.close()
})
