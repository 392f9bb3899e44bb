import fc from 'fast-check'
import { expect, it } from 'vitest'
import { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
import { createLimiter } from './limiter.ts'
import type { Mode } from './options.ts'
import { memoryStore } from './store/memory.ts'
import { faultyStore } from './testing/faulty-store.ts'
import { ManualClock } from './testing/manual-clock.ts'

const CAPACITY = 3
/** Milliseconds to refill a token. */
const TOKEN = 100
const MOST_WAITING = 4
const END = 10_000

interface Arrival {
  /** Milliseconds after the one before it, in tens. */
  readonly after: number
  readonly cost: number
  /** Gives up so many tens of milliseconds after it came, and as many milliseconds as came: no two things happen at once. */
  readonly patience: number | undefined
}

const arrivals: fc.Arbitrary<Arrival[]> = fc.array(
  fc.record({
    after: fc.oneof(fc.constant(0), fc.nat({ max: 20 })),
    cost: fc.integer({ min: 1, max: CAPACITY }),
    patience: fc.option(fc.nat({ max: 40 }), { nil: undefined }),
  }),
  { maxLength: 9 },
)

function patienceOf({ patience }: Arrival, place: number): number {
  return patience === undefined ? END : 10 * patience + place + 1
}

/** What becomes of each, by a line and a bucket that are looked at every millisecond. */
function expected(all: readonly Arrival[]): string[] {
  const outcomes: string[] = []
  let times = 0
  const due = all.map((arrival, place) => {
    times += 10 * arrival.after
    return { place, cost: arrival.cost, at: times, end: times + patienceOf(arrival, place) }
  })
  let line: typeof due = []
  /** In parts of a token: one drains each millisecond. */
  let used = 0
  for (let now = 0; now <= END; now++) {
    const serve = () => {
      for (let first = line[0]; first !== undefined; first = line[0]) {
        if (used + first.cost * TOKEN > CAPACITY * TOKEN) break
        used += first.cost * TOKEN
        outcomes[first.place] = `served at ${now}`
        line.shift()
      }
    }
    serve()
    for (const one of due) {
      if (one.at !== now) continue
      if (line.length >= MOST_WAITING) outcomes[one.place] = 'ERR_QUEUE_FULL'
      else line.push(one)
      serve()
    }
    for (const { place } of line.filter(({ end }) => end === now)) outcomes[place] = 'gave up'
    line = line.filter(({ end }) => end !== now)
    serve()
    used = Math.max(0, used - 1)
  }
  return outcomes
}

/** What becomes of each with a limiter: served when, or what it was told. */
async function outcomesOf(mode: Mode, all: readonly Arrival[]): Promise<string[]> {
  // A window begins.
  const clock = new ManualClock(3_000_000)
  const limit = tokenBucket({ capacity: CAPACITY, refill: 1, per: TOKEN })
  const store = memoryStore({ clock })
  const limiter = createLimiter({ name: 'api', limit, mode, store, clock, maxWaiting: MOST_WAITING })
  const outcomes: string[] = []
  const begun = clock.monotonic()
  for (const [place, arrival] of all.entries()) {
    const { after, cost } = arrival
    await clock.advance(10 * after)
    const abort = new AbortController()
    clock.setTimer(() => abort.abort('gave up'), patienceOf(arrival, place))
    limiter.acquire('key', { cost, signal: abort.signal }).then(
      () => (outcomes[place] = `served at ${clock.monotonic() - begun}`),
      (reason) => (outcomes[place] = reason.code ?? reason),
    )
    await clock.advance(0)
  }
  await clock.advance(END)
  expect(await limiter.peek('key')).toMatchObject({ allowed: true, remaining: CAPACITY - 1 })
  expect(limiter.stats()).toMatchObject({ pending: 0 })
  await limiter.close()
  return outcomes
}

const RUNS = fc.readConfigureGlobal().numRuns!

it('serves those that wait as they came, as soon as can be, and one that gives up costs nothing', async () => {
  const property = fc.asyncProperty(arrivals, async (all) => {
    expect(await outcomesOf('hard', all)).toEqual(expected(all))
  })
  await fc.assert(property, { numRuns: RUNS })
})

it.each(['soft', 'leased'] satisfies Mode[])(
  '%s: serves those that wait as they came, and all of them',
  async (mode) => {
    const property = fc.asyncProperty(arrivals, async (all) => {
      const outcomes = await outcomesOf(mode, all)
      const served = outcomes.flatMap((outcome, place) => {
        const at = /served at (.*)/.exec(outcome)?.[1]
        return at === undefined ? [] : [{ at: Number(at), cost: all[place]!.cost }]
      })
      expect(served.map(({ at }) => at)).toEqual(served.map(({ at }) => at).sort((one, two) => one - two))
      for (const [first, { at }] of served.entries()) {
        let cost = 0
        for (const one of served.slice(first)) {
          cost += one.cost
          expect(cost).toBeLessThanOrEqual(CAPACITY + (one.at - at + 1) / TOKEN)
        }
      }
      for (const [place, outcome] of outcomes.entries())
        if (outcome === 'gave up') expect(all[place]!.patience).toBeDefined()
        else expect(outcome).toMatch(/^served|^ERR_QUEUE_FULL$/)
      expect(outcomes).toHaveLength(all.length)
    })
    await fc.assert(property, { numRuns: RUNS })
  },
)

it('says that the answer came too late, where there would have been nothing to wait for', async () => {
  const clock = new ManualClock(1_000_000)
  const store = faultyStore(memoryStore({ clock }), { clock, latency: 5 })
  const limiter = createLimiter({
    name: 'api',
    limit: tokenBucket({ capacity: 1, refill: 1, per: '1s' }),
    store,
    clock,
  })
  const refused = expect(limiter.acquire('a', { maxWait: 1 })).rejects.toMatchObject({
    code: 'ERR_MAX_WAIT',
    message: '"a" can\'t be acquired within maxWait: the store took longer than that to answer',
  })
  await clock.advance(20)
  await refused
  // Nothing stays taken.
  const then = limiter.peek('a')
  await clock.advance(20)
  expect(await then).toMatchObject({ allowed: true })
  const closed = limiter.close()
  await clock.advance(20)
  await closed
})
