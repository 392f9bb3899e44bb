import { afterEach, expect, it, vi } from 'vitest'
import { TurningClock } from '../../test/turning-clock.ts'
import type { Decision } from '../decision.ts'
import {
  createLimiter,
  fixedWindow,
  type Limit,
  type LimiterOptions,
  leakyBucket,
  memoryStore,
  type SoftLimiter,
  slidingLog,
  slidingWindow,
  tokenBucket,
} from '../index.ts'
import { faultyStore, seededRandom } from '../testing.ts'
import { isUsedUp } from './key-record.ts'
import { LocalDecisions } from './local-decisions.ts'
import type { LocalKey } from './local-key.ts'
import { placeOf } from './rows.ts'

// Refusals that are told by a key's row alone, and by a reading of the clock that a burst shares.

afterEach(() => void vi.restoreAllMocks())

const localLimiter = (options: object) => createLimiter(options as LimiterOptions) as SoftLimiter

const LIMITS: Record<string, readonly [own: Limit, higher: Limit]> = {
  'fixed window': [fixedWindow({ limit: 20, window: '10s' }), fixedWindow({ limit: 40, window: '10s' })],
  'sliding window': [
    slidingWindow({ limit: 20, window: '10s' }),
    slidingWindow({ limit: 40, window: '10s' }),
  ],
  'sliding log': [slidingLog({ limit: 20, window: '10s' }), slidingLog({ limit: 40, window: '10s' })],
  'token bucket': [
    tokenBucket({ capacity: 20, refill: 1, per: '5s' }),
    tokenBucket({ capacity: 40, refill: 2, per: '5s' }),
  ],
  'leaky bucket': [
    leakyBucket({ capacity: 20, leak: 2, per: '5s' }),
    leakyBucket({ capacity: 40, leak: 4, per: '5s' }),
  ],
}

/** What of a node's decisions the test looks into. */
interface Inside {
  rows: LocalDecisions['keys']['rows']
  moment: { now: number }
  link: { table: { now(): number } }
  decide(local: LocalKey, cost: number, consume: boolean, mayWait: boolean): Decision
}

/** From here on, each refusal by a row is held against what the long way would tell. */
function watchRefusals() {
  const seen = { refusals: 0, wrong: [] as unknown[] }
  const prototype = LocalDecisions.prototype as unknown as {
    refuseShut(row: number): Decision | undefined
  }
  const { refuseShut } = prototype
  vi.spyOn(prototype, 'refuseShut').mockImplementation(function (this: unknown, row: number) {
    const inside = this as Inside
    const isUseless = isUsedUp(inside.rows.segment(row).flags(placeOf(row)))
    const told = refuseShut.call(this as typeof prototype, row)
    if (told === undefined) return undefined
    seen.refusals++
    const local = inside.rows.key(row)
    const isQuiet = local.pace.quietUntil === Infinity
    const right = inside.decide(local, 1, false, true)
    const isLate = inside.link.table.now() !== inside.moment.now
    const isSame = isLate
      ? !right.allowed && right.reason === told.reason && right.source === told.source
      : JSON.stringify(right) === JSON.stringify(told)
    if (!isSame || (isUseless && !isQuiet)) seen.wrong.push({ told, right, isUseless, isQuiet })
    // To look at it has opened it.
    if (local.headroom < 1) local.makeShut(isUseless)
    return told
  })
  return seen
}

it.each(
  Object.entries(LIMITS).flatMap(([name, limits]) =>
    (
      [
        ['soft', {}],
        ['leased', {}],
        ['soft', { maxOvershoot: 0.1 }],
      ] as const
    ).map(([mode, sync]) => [name, mode, sync, limits] as const),
  ),
)('%s, %s, %o: what a row refuses, all that is known refuses', async (name, mode, sync, [limit, higher]) => {
  const seen = watchRefusals()
  for (const seed of [1, 2]) {
    const random = seededRandom(seed)
    const clock = new TurningClock(1_000_000)
    const memory = memoryStore({ clock })
    const store = faultyStore(memory, { clock, latency: seed === 1 ? 0 : 5 })
    const make = () =>
      localLimiter({ name: 'api', limit, mode, sync, store, clock, random: seededRandom(seed), maxKeys: 8 })
    const nodes = [make(), make()] as const
    const hard = createLimiter({ name: 'api', limit, store: memory, clock })
    const acts: ((node: SoftLimiter, key: string) => Promise<unknown> | undefined)[] = [
      (node, key) => node.block(key, '1s'),
      (node, key) => node.reset(key),
      (node, key) => node.refund(key, 2),
      (node, key) => node.penalty(key, 3),
      (node) => node.setLimit(random() < 0.5 ? limit : higher),
      (node, key) => node.check(key, { limit: higher }),
      (node, key) => node.check(key),
      (_, key) => hard.check(key, { cost: 3 }),
      (node, key) => void node.checkSync(key, { cost: 25 }),
      () => void store.goAway(1500),
    ]
    for (let turn = 0; turn < 250; turn++) {
      const node = nodes[Math.floor(random() * 2)]!
      const key = `key-${Math.floor(random() ** 2 * 6)}`
      const act = random() < 0.2 ? acts[Math.floor(random() * acts.length)] : undefined
      const acting = act?.(node, key)
      if (acting !== undefined) await clock.until(acting)
      for (let check = 0; check < 40; check++) {
        node.checkSync(random() < 0.7 ? key : `key-${Math.floor(random() * 12)}`)
        if (random() < 0.02) clock.hold(Math.floor(random() * 100))
      }
      if (random() < 0.5) await clock.advance(Math.floor(random() * 600))
    }
    await clock.until(Promise.all([...nodes, hard].map((each) => each.close())))
  }
  expect(seen.wrong).toEqual([])
  // How many there are depends on which keys are pushed out, and so on the process.
  if (name !== 'sliding log') expect(seen.refusals).toBeGreaterThan(10)
})

it.each([
  ['fixed window', fixedWindow({ limit: 5000, window: '1h' })],
  ['sliding window', slidingWindow({ limit: 5000, window: '1h' })],
])('%s: a key that always comes third in its turn hears of what others gave back', async (_, limit) => {
  const clock = new TurningClock(36_000_000)
  const store = memoryStore({ clock })
  const make = () => localLimiter({ name: 'api', limit, mode: 'leased', store, clock, random: () => 0.5 })
  const busy = make()
  const late = make()
  let admitted = 0
  for (let turn = 0; turn < 2000; turn++) {
    if (turn < 100) for (let check = 0; check < 20; check++) if (busy.checkSync('key').allowed) admitted++
    const others = turn < 160 ? [] : ['one', 'two']
    for (const other of others) late.checkSync(other)
    const checks = turn < 100 ? 3 : turn < 160 ? 60 : 1
    for (let check = 0; check < checks; check++) if (late.checkSync('key').allowed) admitted++
    await clock.advance(10)
  }
  expect(admitted).toBe(5000)
  await clock.until(Promise.all([busy.close(), late.close()]))
})

it('what was leased under a higher limit is spent also after a check was refused that costs too much', async () => {
  const clock = new TurningClock(36_000_000)
  const limit = (its: number) => fixedWindow({ limit: its, window: '1h' })
  const store = memoryStore({ clock })
  const limiter = localLimiter({ name: 'api', limit: limit(100), mode: 'leased', clock, store })
  for (let check = 0; check < 40; check++) await clock.until(limiter.check('key'))
  await clock.until(limiter.setLimit(limit(40)))
  for (let check = 0; check < 3; check++) limiter.checkSync('other')
  expect(limiter.checkSync('key', { cost: 99 })).toMatchObject({ allowed: false, reason: 'cost' })
  expect(limiter.checkSync('key')).toMatchObject({ allowed: true })
  await clock.until(limiter.close())
})

it.each([
  ['ready', 'deny'],
  ['ready', 'allow'],
  ['shut', 'deny'],
  ['shut', 'allow'],
] as const)(
  'a key that is %s is answered by the rule for outages, where the store is away: %s',
  async (state, onOutage) => {
    const clock = new TurningClock(1_000_000)
    const store = faultyStore(memoryStore({ clock }), { clock, latency: 1 })
    const limit = fixedWindow({ limit: 20, window: '1h' })
    const limiter = localLimiter({ name: 'api', limit, mode: 'soft', store, clock, onOutage })
    limiter.checkSync('key')
    await clock.advance(3000)
    for (let check = 0; check < (state === 'ready' ? 3 : 30); check++) limiter.checkSync('key')
    store.goAway(60_000)
    for (let other = 0; other < 5; other++) {
      limiter.checkSync(`other-${other}`)
      await clock.advance(800)
    }
    expect(limiter.stats().degraded).toBe(true)
    expect(limiter.checkSync('key')).toMatchObject({ allowed: onOutage === 'allow', source: 'outage' })
    await clock.advance(60_000)
    await clock.until(limiter.close())
  },
)
