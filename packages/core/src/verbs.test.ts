import { describe, expect, it } from 'vitest'
import { isBucket, type Limit } from './algorithms/algorithm.ts'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from './algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from './algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from './algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
import type { Clock } from './clock.ts'
import { StoreError } from './errors.ts'
import type { ScopeKeys } from './limit-parts.ts'
import { createLimiter, type LeasedLimiter } from './limiter.ts'
import type { LimiterOptions, Mode } from './options.ts'
import { memoryStore } from './store/memory.ts'
import type { Store, Table } from './store/store.ts'
import { ManualClock } from './testing/manual-clock.ts'
import { seededRandom } from './testing/seeded-random.ts'

const modes: readonly Mode[] = ['hard', 'soft', 'leased']
const minute = (limit: number) => fixedWindow({ limit, window: '1m' })

/** Of each world. */
const stores = new WeakMap<ManualClock, Store>()

function nodes(options: Partial<LimiterOptions> = {}) {
  const clock = new ManualClock()
  const store = memoryStore({ clock })
  stores.set(clock, store)
  const random = seededRandom(1)
  const node = () =>
    createLimiter({ name: 'api', limit: minute(3), store, clock, random, ...options } as LimiterOptions)
  return { clock, one: node(), two: node() }
}

describe.each(modes)('%s', (mode) => {
  it('counts a plan under the same name', async () => {
    const { one } = nodes({ mode })
    const pro = minute(5)
    for (let turn = 0; turn < 3; turn++) await one.check('a')
    await one.flush()
    expect((await one.check('a')).allowed).toBe(false)
    expect(await one.check('a', { limit: pro })).toMatchObject({ allowed: true, limit: 5, remaining: 1 })
    expect((await one.peek('b', { limit: pro })).remaining).toBe(4)
    for (const limit of [
      fixedWindow({ limit: 5, window: '2m' }),
      slidingWindow({ limit: 5, window: '1m' }),
      [pro, pro],
    ])
      await expect(one.check('a', { limit })).rejects.toMatchObject({ code: 'ERR_MISMATCH' })
    await one.close()
  })

  it('refuses limits that are made anew for each check', async () => {
    const { one } = nodes({ mode })
    const all = Array.from({ length: 101 }, () => one.peek('a', { limit: minute(5) }))
    await expect(Promise.all(all)).rejects.toMatchObject({ code: 'ERR_OPTION' })
    await one.close()
  })

  it('goes by a limit that another node has set, within an interval, and keeps what was counted', async () => {
    const { clock, one, two } = nodes({ mode })
    for (let turn = 0; turn < 3; turn++) await one.check('a')
    await two.check('a')
    expect(await two.setLimit(minute(5))).toBe(true)
    await clock.advance(1100)
    expect(await one.check('a')).toMatchObject({ allowed: true, limit: 5 })
    await expect(one.setLimit(fixedWindow({ limit: 5, window: '2m' }))).rejects.toMatchObject({
      code: 'ERR_MISMATCH',
    })
    await one.setLimit(minute(4))
    await one.flush()
    await clock.advance(1100)
    expect(await two.peek('a')).toMatchObject({ limit: 4 })
    await one.close()
    await two.close()
  })

  it('charges a penalty, which all nodes know within an interval', async () => {
    const { clock, one, two } = nodes({ mode })
    expect((await two.check('a')).allowed).toBe(true)
    await two.flush()
    expect(await one.penalty('a', 5)).toBe(true)
    await clock.advance(1100)
    for (const node of [one, two]) {
      expect((await node.peek('a')).allowed).toBe(false)
      expect(await node.check('a')).toMatchObject({ allowed: false, reason: 'limit', debt: 3 })
      await node.close()
    }
  })

  it.each([
    ['fixed window', fixedWindow({ limit: 3, window: '1h' })],
    ['sliding window', slidingWindow({ limit: 3, window: '1h' })],
    ['sliding log', slidingLog({ limit: 3, window: '1h' })],
    ['token bucket', tokenBucket({ capacity: 3, refill: 3, per: '730d' })],
    ['sliding window of the largest limit', slidingWindow({ limit: 2 ** 31 - 1, window: '730d' })],
    ['token bucket that drains soon', tokenBucket({ capacity: 3, refill: 3, per: '10m' })],
  ])('%s: of penalties without end a key counts 2^35, exactly', async (_, limit) => {
    const { one } = nodes({ mode, limit })
    const { window, limit: allowed } = limit
    const most = 2 ** 35 - allowed
    for (let turn = 0; turn < 16; turn++) await one.penalty('a', 2 ** 31 - 1)
    expect((await one.peek('a')).debt).toBe(most - 16)
    for (let turn = 0; turn < 4; turn++) await one.penalty('a', 2 ** 31 - 1)
    const { debt, retryAfterMs, resetAfterMs } = await one.peek('a')
    expect(debt).toBe(most)
    // No time is told that is longer than 2^52 ms.
    if (limit.algorithm === 'token-bucket')
      expect(retryAfterMs).toBe(Math.min(2 ** 52, (most + 1) * (window / 3)))
    if (allowed > 3) {
      // What of the count before may weigh in the window to come, to the millisecond.
      const part = (BigInt(allowed - 1) * BigInt(window)) / 2n ** 35n
      expect(resetAfterMs - retryAfterMs).toBe(Number(part))
    }
    await one.refund('a', 2)
    expect((await one.peek('a')).debt).toBe(most - 2)
    await one.close()
  })

  it('records a penalty in full that is not given the far larger plan by which the key is in use', async () => {
    const { clock, one, two } = nodes({ mode, limit: minute(3) })
    const plan = { limit: minute(1_000_000) }
    for (const used of [196_608, 300_000]) {
      const key = `a${used}`
      expect((await one.check(key, { cost: used, ...plan })).allowed).toBe(true)
      await one.flush()
      expect(await one.penalty(key, 5)).toBe(true)
      await clock.advance(1100)
      const { remaining } = await two.peek(key)
      expect(remaining).toBe(0)
      expect((await two.peek(key)).debt).toBe(used + 2)
      await one.flush()
      expect((await two.peek(key, plan)).remaining).toBeLessThanOrEqual(1_000_000 - used - 5 - 1)
    }
    await one.close()
    await two.close()
  })

  it.each(['own limit', 'plan'])('all nodes know of each verb within an interval: %s', async (by) => {
    const chosen = by === 'plan' ? { limit: minute(6) } : {}
    const said = async (change: (one: ReturnType<typeof nodes>['one']) => Promise<boolean>, first = 1) => {
      const { clock, one, two } = nodes({ mode, limit: minute(4) })
      for (const node of [one, two]) await node.check('a', { cost: first, ...chosen })
      await one.flush()
      await two.flush()
      expect(await change(one)).toBe(true)
      await clock.advance(1000)
      const peeks = [await one.peek('a', chosen), await two.peek('a', chosen)]
      const said = peeks.map(({ allowed, reason }) => ({ allowed, reason }))
      expect(await one.check('a', chosen)).toMatchObject(said[0] ?? {})
      expect(await two.check('a', chosen)).toMatchObject(said[1] ?? {})
      await one.close()
      await two.close()
      return said.map(({ allowed, reason }) => reason ?? allowed)
    }
    expect(await said((one) => one.block('a', '1h'))).toEqual(['blocked', 'blocked'])
    expect(await said((one) => one.penalty('a', 9))).toEqual(['limit', 'limit'])
    const full = by === 'plan' ? 3 : 2
    const back = [true, true]
    expect(await said((one) => one.refund('a', 2), full)).toEqual(back)
    expect(await said((one) => one.reset('a'), full)).toEqual(back)
    expect(await said(async (one) => (await one.block('a', '1h')) && one.reset('a'))).toEqual(back)
  })

  it.each(['refund', 'reset'] as const)(
    'what came back by a %s is there for a node that was refused, within an interval',
    async (verb) => {
      for (const by of ['own limit', 'plan']) {
        const { clock, one, two } = nodes({ mode, limit: minute(by === 'plan' ? 3 : 1) })
        const chosen = by === 'plan' ? { limit: minute(1) } : {}
        expect((await one.check('a', chosen)).allowed).toBe(true)
        await one.flush()
        expect((await two.check('a', chosen)).allowed).toBe(false)
        expect(await one[verb]('a')).toBe(true)
        await clock.advance(1000)
        expect((await two.peek('a', chosen)).allowed).toBe(true)
        expect((await two.check('a', chosen)).allowed).toBe(true)
        await two.flush()
        await clock.advance(1000)
        expect((await one.check('a', chosen)).allowed).toBe(false)
        await Promise.all([one.close(), two.close()])
      }
    },
  )

  it('a reset gives back what is booked of the key for a plan too', async () => {
    const limitOf = (limit: number) => fixedWindow({ limit, window: '1h' })
    const { clock, one } = nodes({ mode, limit: limitOf(10) })
    const pro = limitOf(100)
    expect((await one.check('a', { limit: pro, cost: 5 })).allowed).toBe(true)
    await one.flush()
    expect(await one.reset('a')).toBe(true)
    await clock.advance(1100)
    expect(await one.peek('a')).toMatchObject({ allowed: true, remaining: 9 })
    expect((await one.check('a', { cost: 10 })).allowed).toBe(true)
    await one.flush()
    // Under the plan it is known of too.
    expect((await one.check('a', { limit: pro, cost: 91 })).allowed).toBe(false)
    await clock.advance(1100)
    expect((await one.check('a', { limit: pro, cost: 90 })).allowed).toBe(true)
    await one.close()
  })

  it.each([
    ['fixed window', (limit: number) => fixedWindow({ limit, window: '1h' })],
    ['sliding window', (limit: number) => slidingWindow({ limit, window: '1h' })],
    ['sliding log', (limit: number) => slidingLog({ limit, window: '1h' })],
    ['token bucket', (limit: number) => tokenBucket({ capacity: limit, refill: limit, per: '30d' })],
  ])('%s: debt is what is used above the limit, and not what is booked for others', async (_, limitOf) => {
    const { clock, one, two } = nodes({ mode, limit: limitOf(10) })
    const pro = { limit: limitOf(100) }
    const store = stores.get(clock) as Store
    const hard = createLimiter({ name: 'api', limit: limitOf(10), store, clock })
    expect((await one.check('a', { ...pro, cost: 5 })).allowed).toBe(true)
    await one.flush()
    for (const node of [two, hard]) {
      const { debt, remaining } = await node.peek('a')
      expect([debt, remaining > 0]).toEqual([undefined, mode !== 'leased'])
    }
    await one.penalty('a', 9)
    await one.flush()
    await two.flush()
    await clock.advance(1100)
    for (const node of [two, hard, one]) {
      expect(await node.peek('a')).toMatchObject({ allowed: false, debt: 4 })
      expect(await node.check('a')).toMatchObject({ allowed: false, debt: 4 })
    }
    await Promise.all([one.close(), two.close(), hard.close()])
  })

  it('what came back of a key that was not full is there for a cost that had been too much', async () => {
    const { clock, one, two } = nodes({ mode, limit: fixedWindow({ limit: 10, window: '1h' }) })
    expect((await one.check('a', { cost: 8 })).allowed).toBe(true)
    await one.flush()
    await two.peek('a')
    await clock.advance(1100)
    expect(await two.refund('a', 8)).toBe(true)
    await clock.advance(1100)
    expect((await one.peek('a')).remaining).toBe(9)
    expect((await one.check('a', { cost: 5 })).allowed).toBe(true)
    await Promise.all([one.close(), two.close()])
  })

  it('a limiter that is closed leaves no timer of a reservation', async () => {
    const clock = new ManualClock()
    const timers = new Set<unknown>()
    const counting: Clock = {
      wall: () => clock.wall(),
      monotonic: () => clock.monotonic(),
      setTimer: (callback, ms) => {
        const timer = clock.setTimer(() => {
          timers.delete(timer)
          callback()
        }, ms)
        timers.add(timer)
        return timer
      },
      clearTimer: (timer) => {
        timers.delete(timer)
        clock.clearTimer(timer)
      },
    }
    const { one } = nodes({ mode, limit: minute(9), clock: counting, store: memoryStore({ clock }) })
    const call = await one.reserve('a', 2, { settleAfter: '1h' })
    await (await one.reserve('a', 2, { settleAfter: '1h' })).settle(2)
    await one.reserve('a', 2, { settleAfter: '1s' })
    await clock.advance(1000)
    const late = one.reserve('a', 1, { settleAfter: '1h' })
    await one.close()
    await late
    expect(timers.size).toBe(0)
    await expect(call.settle(1)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('over-use of what the reserve paid is debt while the limit is full', async () => {
    const { clock, one } = nodes({ mode, limit: minute(5), spike: { extra: 3, per: '30d' } })
    expect((await one.check('a', { cost: 5 })).allowed).toBe(true)
    const call = await one.reserve('a', 3)
    expect(call.spike).toBe(true)
    await call.settle(50)
    await clock.advance(1100)
    expect(await one.peek('a')).toMatchObject({ allowed: false, debt: 47 })
    await one.penalty('a', 2)
    expect(await one.check('a')).toMatchObject({ allowed: false, debt: 49 })
    expect(await one.check('a', { cost: 4 })).toMatchObject({ allowed: false, debt: 49 })
    await clock.advance(60_000)
    expect((await one.peek('a')).debt).toBeUndefined()
    await one.close()
  })

  it('settles what was reserved, once', async () => {
    const { clock, one } = nodes({ mode, limit: tokenBucket({ capacity: 100, refill: 100, per: '1h' }) })
    const call = await one.reserve('a', 60)
    expect(call.allowed).toBe(true)
    expect(await call.settle(20)).toBe(true)
    expect(await call.release()).toBe(false)
    expect((await one.peek('a')).remaining).toBe(79)
    const long = await one.reserve('a', 30)
    await long.settle(130)
    await one.flush()
    expect((await one.peek('a')).debt).toBe(50)
    const refused = await one.reserve('a', 30)
    expect(refused.allowed).toBe(false)
    expect(await refused.settle(30)).toBe(false)
    const other = await one.reserve('b', 30, { settleAfter: '10s' })
    await clock.advance(10_000)
    expect(await other.release()).toBe(false)
    const [inTime, late] = [await one.reserve('c', 10), await one.reserve('c', 10)]
    await clock.advance(59_999) // a minute, if nothing else is said
    expect(await inTime.release()).toBe(true)
    await clock.advance(1)
    expect(await late.release()).toBe(false)
    const third = await one.reserve('b', 1)
    await expect(third.settle(-1)).rejects.toMatchObject({ code: 'ERR_COST' })
    expect(await third.release()).toBe(true)
    await one.close()
  })

  it('gives back no more of a reservation than time has left of it', async () => {
    const { clock, one } = nodes({ mode, limit: minute(10) })
    const call = await one.reserve('a', 10, { settleAfter: '1h' })
    await clock.advance(60_000)
    expect((await one.check('a', { cost: 10 })).allowed).toBe(true)
    expect(await call.release()).toBe(true)
    expect((await one.check('a')).allowed).toBe(false)
    await one.close()

    const bucket = nodes({ mode, limit: tokenBucket({ capacity: 60, refill: 60, per: '1h' }) })
    const { one: node } = bucket
    const minutes = (count: number) => bucket.clock.advance(count * 60_000)
    await node.check('busy', { cost: 20 })
    const busy = await node.reserve('busy', 30, { settleAfter: '1h' })
    const idle = await node.reserve('idle', 30, { settleAfter: '1h' })
    await minutes(20)
    // 20 of 50 have drained since, and 30 are left: of them 10 were used.
    await busy.settle(10)
    await node.flush()
    expect((await node.peek('busy')).remaining).toBe(49)
    await minutes(11)
    await node.check('idle', { cost: 60 })
    await idle.release()
    expect((await node.check('idle')).allowed).toBe(false)
    await node.close()
  })

  it('gives back to each of several limits what still counts there', async () => {
    const limit = [fixedWindow({ limit: 10, window: '1m' }), fixedWindow({ limit: 100, window: '1h' })]
    const { clock, one } = nodes({ mode, limit })
    const call = await one.reserve('a', 10, { settleAfter: '1h' })
    await clock.advance(60_000)
    await one.check('a', { cost: 5 })
    await call.release()
    await one.flush()
    expect((await one.peek('a')).parts).toMatchObject([{ remaining: 4 }, { remaining: 94 }])
    await one.close()
  })

  it('gives back to the reserve what was reserved out of it', async () => {
    const { one } = nodes({ mode, spike: { extra: 2, per: '1h' } })
    for (let turn = 0; turn < 3; turn++) await one.check('a')
    const call = await one.reserve('a', 2)
    expect(call.spike).toBe(true)
    await call.release()
    await one.flush()
    expect(await one.peek('a')).toMatchObject({ allowed: true, spike: true })
    expect(await one.check('a', { cost: 2 })).toMatchObject({ allowed: true, spike: true })
    expect((await one.check('a')).allowed).toBe(false)
    await one.close()
  })

  it('gives back what a reservation took in the window before', async () => {
    const { clock, one } = nodes({ mode, limit: slidingWindow({ limit: 8, window: '1m' }) })
    const call = await one.reserve('a', 8, { settleAfter: '1h' })
    await clock.advance(90_000)
    expect((await one.check('a', { cost: 4 })).remaining).toBe(0)
    await one.flush()
    await call.settle(2)
    await one.flush()
    expect((await one.peek('a')).remaining).toBe(2)
    await one.close()
  })

  it('exceeds a limit out of the reserve', async () => {
    const { clock, one } = nodes({ mode, spike: { extra: 2, per: '1h' } })
    const seen: boolean[] = []
    for (let turn = 0; turn < 6; turn++) {
      const { allowed, spike } = await one.check('a')
      seen.push(spike ?? allowed)
    }
    expect(seen).toEqual([true, true, true, true, true, false])
    const { storeCalls } = one.stats()
    expect((await one.check('a')).spike).toBeUndefined()
    // A hard check asks for the limit and the reserve at once.
    if (mode === 'hard') expect(one.stats().storeCalls).toBe(storeCalls + 1)
    expect((await one.check('b')).spike).toBeUndefined()
    await clock.advance(60_000)
    expect((await one.check('a')).spike).toBeUndefined()
    await one.close()
  })

  it('pays nothing out of the reserve where another limit refuses for another reason', async () => {
    const clock = new ManualClock()
    const memory = memoryStore({ clock })
    let isAway = false
    const open: Store['open'] = (name, ...more) => {
      const table = memory.open(name, ...more)
      const exchange: Table['exchange'] = async (request) => {
        if (isAway && name === 'api~2') throw new StoreError('ERR_STORE_AWAY', 'its server is away')
        return table.exchange(request)
      }
      return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
    }
    const limiter = createLimiter({
      name: 'api',
      mode,
      limit: [fixedWindow({ limit: 1, window: '1h' }), minute(9)],
      spike: { extra: 5, per: '1h' },
      onOutage: 'deny',
      store: { open, close: () => memory.close() },
      clock,
    } as LimiterOptions)
    await limiter.check('a')
    expect(await limiter.check('a')).toMatchObject({ allowed: true, spike: true })
    isAway = true
    await clock.advance(3000)
    for (const decision of [await limiter.check('a'), await limiter.peek('a')]) {
      expect(decision).toMatchObject({ allowed: false })
      expect(decision.spike).toBeUndefined()
      expect(decision.parts?.map(({ reason }) => reason)).toEqual(['limit', 'outage'])
    }
    await Promise.all([limiter.close(), clock.advance(1000)])
  })

  it('dryRun books as if it were enforced', async () => {
    const { one, two } = nodes({ mode, dryRun: true })
    for (let turn = 0; turn < 3; turn++) expect((await one.check('a')).wouldDeny).toBeUndefined()
    await one.flush()
    expect(await one.check('a')).toMatchObject({
      allowed: true,
      wouldDeny: true,
      reason: 'limit',
      retryAfterMs: 0,
    })
    expect(await one.peek('a')).toMatchObject({ allowed: true, wouldDeny: true })
    expect(one.stats()).toMatchObject({ checks: 4, admitted: 3, denied: 1 })
    await one.close()
    await two.close()
  })

  it('dryRun tells of debt', async () => {
    const { one } = nodes({ mode, dryRun: true })
    await one.penalty('a', 10)
    expect(await one.check('a')).toMatchObject({ allowed: true, wouldDeny: true, debt: 7 })
    await one.close()
  })

  it('of two blocks the last counts, even if it ends sooner', async () => {
    const { clock, one, two } = nodes({ mode, limit: minute(1000) })
    await two.check('a')
    await one.block('a', '1h')
    await clock.advance(1000)
    expect(await two.check('a')).toMatchObject({ allowed: false, reason: 'blocked' })
    await one.block('a', '2s')
    await clock.advance(2000)
    for (const node of [one, two]) expect(await node.check('a')).toMatchObject({ allowed: true })
    await one.close()
    await two.close()
  })

  it('lists are for every verb', async () => {
    const { one } = nodes({ mode, allow: ['staff'], deny: new Set(['staff', 'thief']) })
    for (let turn = 0; turn < 5; turn++) expect((await one.check('staff')).allowed).toBe(true)
    expect((await one.acquire('staff', { cost: 50 })).allowed).toBe(true)
    expect(await one.peek('thief')).toMatchObject({
      allowed: false,
      reason: 'blocked',
      retryAfterMs: Infinity,
    })
    expect((await one.check('thief')).allowed).toBe(false)
    await expect(one.acquire('thief')).rejects.toMatchObject({
      code: 'ERR_NEVER',
      message: '"thief" is denied for good: take it off the deny list',
    })
    expect((await one.reserve('staff', 5)).allowed).toBe(true)
    expect(one.stats().storeEntries).toBe(0)
    await one.close()
  })

  it('what is given back to a denied key, and charged, counts', async () => {
    const deny = new Set<string>()
    const { one } = nodes({ mode, limit: minute(9), deny })
    await one.check('a', { cost: 5 })
    await one.flush()
    deny.add('a')
    expect(await one.refund('a', 4)).toBe(true)
    expect(await one.penalty('a', 2)).toBe(true)
    deny.delete('a')
    await one.flush()
    expect(await one.check('a')).toMatchObject({ allowed: true, remaining: 5 })
    await one.close()
  })

  it('lists that change are asked anew by every verb, and nobody else is told of them', async () => {
    const staff = new Set<string>()
    const thieves = new Set<string>()
    const { clock, one, two } = nodes({ mode, allow: (key) => staff.has(key), deny: thieves })
    const says = async (node: typeof one) => {
      const sync = 'checkSync' in node ? [node.checkSync('a')] : []
      const all = [await node.peek('a'), await node.check('a'), ...sync, await node.reserve('a', 1)]
      return all.map(({ allowed, reason }) => reason ?? allowed)
    }
    await one.check('a', { cost: 3 })
    await one.flush()
    expect(new Set(await says(one))).toEqual(new Set(['limit']))
    staff.add('a')
    expect(new Set(await says(one))).toEqual(new Set([true]))
    expect((await one.acquire('a', { cost: 9 })).allowed).toBe(true)
    expect(await one.penalty('a', 5)).toBe(true)
    expect(await one.refund('a', 3)).toBe(true)
    expect(await one.block('a', '1h')).toBe(true)
    expect(new Set(await says(one))).toEqual(new Set([true]))
    expect(await one.reset('a')).toBe(true)
    staff.delete('a')
    thieves.add('a')
    expect(new Set(await says(one))).toEqual(new Set(['blocked']))
    await expect(one.acquire('a')).rejects.toMatchObject({ code: 'ERR_NEVER' })
    expect(await one.penalty('a', 3)).toBe(true)
    thieves.delete('a')
    await one.flush()
    expect((await one.peek('a')).reason).toBe('limit')
    // One that waits is served once it is allowed.
    const waiting = two.acquire('a')
    await clock.advance(10)
    staff.add('a')
    await clock.advance(1000)
    expect(await waiting).toMatchObject({ allowed: true, remaining: 3 })
    await one.close()
    await two.close()
  })

  it('parts and lists go by the limits that were set, under their names', async () => {
    const limit = [minute(3), minute(9)]
    const { clock, one, two } = nodes({ mode, limit, allow: ['staff'] })
    await two.check('a')
    await one.setLimit([minute(9), minute(9)])
    await one.check('a')
    await clock.advance(1100)
    for (const node of [one, two]) {
      await node.check('b')
      for (const { name, parts } of [
        await node.check('a'),
        await node.peek('a'),
        await node.check('staff'),
      ]) {
        expect(name).toMatch(/^9-per-1m/)
        expect(parts).toMatchObject([
          { name: '9-per-1m', limit: 9 },
          { name: '9-per-1m:2', limit: 9 },
        ])
      }
      const pro = [minute(4), minute(4)]
      expect((await node.check('staff', { limit: pro })).parts).toMatchObject([
        { name: '4-per-1m', limit: 4 },
        { name: '4-per-1m:2', limit: 4 },
      ])
      await node.close()
    }
  })

  it('tells of debt while the reserve is used, and after', async () => {
    const { one } = nodes({ mode, spike: { extra: 2, per: '1h' } })
    await one.penalty('a', 5)
    await one.flush()
    expect(await one.check('a', { cost: 2 })).toMatchObject({ allowed: true, spike: true, debt: 2 })
    expect(await one.check('a')).toMatchObject({ allowed: false, debt: 2 })
    expect(await one.peek('a')).toMatchObject({ allowed: false, debt: 2 })
    await one.close()
  })

  it('has those of one set of keys wait in one line, whichever way the set is written', async () => {
    const clock = new ManualClock()
    const scopes = { user: minute(1), ip: minute(1) }
    const one = createLimiter({ name: 'api', scopes, mode, clock, maxWaiting: 1 })
    await one.check({ user: '42' })
    one.acquire({ user: '42' }).catch(() => {})
    await expect(one.acquire({ ip: undefined, user: '42' }, { maxWait: 1 })).rejects.toMatchObject({
      code: 'ERR_QUEUE_FULL',
    })
    await one.close()
  })

  it('serves those that wait in their order, and an aborted one costs nothing', async () => {
    const { clock, one } = nodes({ mode, limit: minute(1), maxWaiting: 4 })
    await one.check('a')
    const served: string[] = []
    const abort = new AbortController()
    const wait = (name: string, signal?: AbortSignal) =>
      one.acquire('a', { signal }).then(
        () => served.push(name),
        () => served.push(`${name} gave up`),
      )
    void wait('first')
    void wait('second', abort.signal)
    void wait('third')
    const late = one.acquire('a', { maxWait: 1000 })
    late.catch(() => {})
    await expect(one.acquire('a')).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL' })
    abort.abort()
    await clock.advance(1001)
    await expect(late).rejects.toMatchObject({ code: 'ERR_MAX_WAIT' })
    expect(served).toEqual(['second gave up'])
    await clock.advance(60_000)
    expect(served).toEqual(['second gave up', 'first'])
    await clock.advance(60_000)
    expect(served).toEqual(['second gave up', 'first', 'third'])
    await one.close()
  })
})

describe('quota that was leased before the limit was lowered', () => {
  const bucket = (capacity: number) => tokenBucket({ capacity, refill: capacity, per: '1m' })
  const leaky = (capacity: number) => leakyBucket({ capacity, leak: capacity, per: '1m' })

  /** One node has quota booked of `a`, and has heard that the limit is 3 now. */
  async function lowered(limitOf: (limit: number) => Limit) {
    const world = nodes({ mode: 'leased', limit: limitOf(100) })
    const one = world.one as LeasedLimiter
    const { clock, two } = world
    expect((await one.check('a', { cost: 10 })).allowed).toBe(true)
    expect(await two.setLimit(limitOf(3))).toBe(true)
    await one.peek('b')
    return { clock, one, two }
  }

  /** Takes until it is refused: how much that was. */
  function spendAll(limiter: LeasedLimiter): number {
    for (let spent = 0; ; spent++) if (!limiter.checkSync('a').allowed) return spent
  }

  it.each([
    ['fixed window', minute],
    ['sliding window', (limit: number) => slidingWindow({ limit, window: '1m' })],
    ['sliding log', (limit: number) => slidingLog({ limit, window: '1m' })],
    ['token bucket', bucket],
    ['leaky bucket', leaky],
  ])('%s: is spent, and nothing is booked above the new limit', async (_, limitOf) => {
    const { clock, one, two } = await lowered(limitOf)
    const foreseen = await one.peek('a')
    const decision = await one.check('a')
    expect(decision).toMatchObject({ allowed: true, limit: 3, remaining: 0, source: 'local' })
    expect(foreseen).toMatchObject({ allowed: true, limit: 3, remaining: 0 })
    expect(decision.delayMs).toBe(limitOf === leaky ? 200_000 : 0)
    // At the present rate a bucket drains a cost in 20 s.
    if (isBucket(limitOf(3))) expect(decision.resetAfterMs).toBe(220_000)
    expect((await two.check('a')).allowed).toBe(false)
    const booked = 40
    expect(1 + spendAll(one)).toBe(booked)
    expect(await one.peek('a')).toMatchObject({ allowed: false, reason: 'limit', debt: 10 + booked - 3 })
    await clock.advance(1100)
    for (const node of [one, two]) expect((await node.check('a')).allowed).toBe(false)
    await Promise.all([one.close(), two.close()])
  })

  it('ends with its slice, after which the new limit is gone by', async () => {
    const { clock, one, two } = await lowered(minute)
    expect(one.checkSync('a').allowed).toBe(true)
    await clock.advance(60_000)
    const decisions = await Promise.all(Array.from({ length: 5 }, () => one.check('a')))
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false])
    // What was booked under the new limit is refused as ever.
    await one.penalty('a', 1)
    expect((await one.peek('a')).debt).toBe(1)
    await Promise.all([one.close(), two.close()])
  })

  it('is no more valid after a penalty, a block or a reset than under the limit before', async () => {
    for (const verb of ['penalty', 'block', 'reset'] as const) {
      const { one, two } = await lowered(minute)
      expect(one.checkSync('a').allowed).toBe(true)
      if (verb === 'penalty') expect(await one.penalty('a', 89)).toBe(true)
      if (verb === 'block') expect(await one.block('a', '1s')).toBe(true)
      if (verb === 'reset') expect(await one.reset('a')).toBe(true)
      const reason = { penalty: 'limit', block: 'blocked', reset: 'sync' }[verb]
      expect(one.checkSync('a')).toMatchObject({ allowed: false, reason })
      if (verb === 'reset') {
        expect((await one.check('a', { cost: 3 })).allowed).toBe(true)
        expect((await one.check('a')).allowed).toBe(false)
      }
      await Promise.all([one.close(), two.close()])
    }
  })

  it('what is booked afterwards goes by the limit in force alone', async () => {
    const { one, two } = await lowered(minute)
    spendAll(one)
    expect(await two.setLimit(minute(60))).toBe(true)
    await one.peek('b')
    expect((await one.check('a')).allowed).toBe(true)
    expect(one.checkSync('a').allowed).toBe(true)
    expect(await one.penalty('a', 10)).toBe(true)
    expect(one.checkSync('a')).toMatchObject({ allowed: false, reason: 'limit' })
    await Promise.all([one.close(), two.close()])
  })

  it('what was never booked under a limit does not go by it', async () => {
    const { one: limiter, two } = nodes({ mode: 'leased', limit: minute(100) })
    const one = limiter as LeasedLimiter
    expect(await two.setLimit(minute(10))).toBe(true)
    // It was made with a limit of 100, of which nothing was ever booked.
    expect((await one.check('a')).allowed).toBe(true)
    expect(one.checkSync('a').allowed).toBe(true)
    expect(await one.penalty('a', 8)).toBe(true)
    expect(one.checkSync('a')).toMatchObject({ allowed: false, reason: 'limit' })
    await Promise.all([one.close(), two.close()])
  })
})

describe('what was found by reading', () => {
  it('acquire hears of what happens while it asks, and of other nodes within an interval', async () => {
    const { clock, one, two } = nodes()
    await one.block('a', '1h')
    const waiting = two.acquire('a')
    await clock.advance(10)
    await one.reset('a')
    await clock.advance(1000)
    expect((await waiting).allowed).toBe(true)

    await one.check('b', { cost: 3 })
    const closing = two.acquire('b')
    await two.close()
    await expect(closing).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await one.close()
  })

  it('an abort between the allowance and its turn gives it back', async () => {
    const limit = leakyBucket({ capacity: 10, leak: 1, per: '1s' })
    for (let tick = 0; tick < 30; tick++) {
      const { clock, one } = nodes({ limit })
      await one.check('a')
      const controller = new AbortController()
      const acquired = one.acquire('a', { signal: controller.signal }).catch((reason) => reason)
      for (let turn = 0; turn < tick; turn++) await Promise.resolve()
      controller.abort('no more')
      await clock.advance(0)
      expect(await acquired).toBe('no more')
      expect((await one.peek('a')).remaining).toBe(8)
      await one.close()
    }
  })

  it('plans are known by their limits, in whatever list they come', async () => {
    const { one } = nodes({ limit: [minute(3), minute(4)] })
    const pro = [minute(30), minute(40)] as const
    for (let turn = 0; turn < 30; turn++) await one.check('a', { limit: [pro[0], pro[1]] })
    expect(await one.check('a', { limit: [pro[0], pro[1]] })).toMatchObject({ allowed: false })
    for (let turn = 0; turn < 100; turn++) await one.peek('a', { limit: [...pro] })
    await one.close()
  })

  it('a plan that is the limit a limiter was made with does not follow setLimit', async () => {
    const free = minute(2)
    const { one } = nodes({ limit: free })
    await one.setLimit(minute(5))
    expect((await one.peek('a', { limit: free })).limit).toBe(2)
    expect((await one.peek('a')).limit).toBe(5)
    await one.close()
  })

  it('says which limit is not there, and which side has what', async () => {
    const { one } = nodes()
    const check = one.check.bind(one) as (key: string, options: object) => Promise<unknown>
    await expect(check('a', { limit: [minute(1), minute(2)] })).rejects.toThrow(
      /there is no limit "2-per-1m"/,
    )
    const other = fixedWindow({ limit: 1, window: '2m' })
    await expect(check('a', { limit: other })).rejects.toThrow(
      /api has fixed-window\/60000 ms, and the limit given fixed-window\/120000 ms/,
    )
    await one.close()
  })

  it('listed keys of several limits have parts, and give nothing back', async () => {
    const scopes = { user: minute(2), all: minute(5) }
    const clock = new ManualClock()
    // They look at one of the scopes, and leave it to `scopes` which there are.
    const allow = ({ user }: ScopeKeys<'user'>) => user === 'staff'
    const deny = ({ user }: ScopeKeys<'user'>) => user === 'bad'
    const limiter = createLimiter({ name: 'api', scopes, allow, deny, clock, store: memoryStore({ clock }) })
    for (const user of ['1', '1', '2', '2', '3']) await limiter.check({ user, all: '*' })
    expect(await limiter.check({ user: 'staff', all: '*' })).toMatchObject({
      ...{ allowed: true, name: 'user', limit: 2, remaining: 2, resetAfterMs: 0 },
      parts: [
        { name: 'user', window: 60_000, remaining: 2 },
        { name: 'all', remaining: 5 },
      ],
    })
    expect(await limiter.check({ user: 'bad' })).toMatchObject({
      allowed: false,
      retryAfterMs: Infinity,
      resetAfterMs: 0,
    })
    expect(await limiter.refund({ user: 'staff', all: '*' })).toBe(true)
    expect((await limiter.check({ user: '4', all: '*' })).allowed).toBe(false)
    await limiter.close()
  })

  it('a reservation is of the keys that were reserved, whatever becomes of the object', async () => {
    // A name that every object has something for.
    const scopes = { user: minute(5), toString: minute(5) } as Record<'user', Limit>
    const clock = new ManualClock()
    const limiter = createLimiter({ name: 'api', scopes, clock, store: memoryStore({ clock }) })
    const key = { user: 'a' }
    const call = await limiter.reserve(key, 3)
    expect(call.parts).toHaveLength(1)
    key.user = 'b'
    expect(await call.release()).toBe(true)
    expect((await limiter.peek({ user: 'a' })).remaining).toBe(4)
    await limiter.close()
  })

  it('a refusal speaks of the others as they are, with what they owe', async () => {
    const scopes = { user: tokenBucket({ capacity: 2, refill: 2, per: '10s' }), ip: minute(100) }
    const clock = new ManualClock()
    const limiter = createLimiter({ name: 'api', scopes, clock, store: memoryStore({ clock }) })
    await limiter.check({ user: 'a' }, { cost: 2 })
    const refused = await limiter.check({ user: 'a', ip: 'new' })
    expect(refused).toMatchObject({ allowed: false, resetAfterMs: 10_000 })
    expect(refused.parts).toMatchObject([{ remaining: 0 }, { remaining: 100, resetAfterMs: 0 }])
    await limiter.penalty({ ip: 'bad' }, 130)
    expect((await limiter.peek({ user: 'b', ip: 'bad' })).parts?.[1]).toMatchObject({ debt: 30 })
    await limiter.close()
  })

  it('checkSync takes nothing where one of the limits throws', async () => {
    const clock = new ManualClock()
    const store = memoryStore({ clock })
    const away: Store = {
      open: (name, limit) => {
        const table = store.open(name, limit)
        if (name !== 'api~2') return table
        const exchange = () => Promise.reject(new StoreError('ERR_STORE_AWAY', 'away'))
        return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
      },
      close: () => store.close(),
    }
    const limit = [minute(8), fixedWindow({ limit: 8, window: '1h' })]
    const options = { mode: 'leased', onOutage: 'throw', clock, random: seededRandom(1) } as const
    const limiter = createLimiter({ name: 'api', limit, store: away, ...options })
    for (let turn = 0; turn < 4; turn++) {
      expect(() => {
        const { reason } = limiter.checkSync('a')
        if (reason === 'sync') throw new StoreError('ERR_STORE_AWAY', 'sync')
      }).toThrow(StoreError)
      await clock.advance(2000)
    }
    const single = createLimiter({ name: 'api', limit: minute(8), store, clock })
    await limiter.close()
    expect((await single.peek('a')).remaining).toBe(7)
    await single.close()
  })

  it.each(modes)('%s: what a plan took can be given back at once', async (mode) => {
    const { clock, one, two } = nodes({ mode })
    const pro = minute(4)
    // What the limiter's own limit knows of the key is from before.
    await one.peek('a')
    expect((await one.check('a', { limit: pro, cost: 2 })).allowed).toBe(true)
    expect(await one.refund('a', 2)).toBe(true)
    await clock.advance(1100)
    const counted = createLimiter({
      ...{ name: 'api', limit: minute(1000), clock },
      store: stores.get(clock)!,
    })
    await Promise.all([one.close(), two.close()])
    expect((await counted.peek('a')).remaining).toBe(999)
    await counted.close()
  })

  it.each(modes)(
    '%s: a bucket drains by the rate of its plan, whether a verb is given it or not',
    async (mode) => {
      const limit = tokenBucket({ capacity: 10, refill: 10, per: '10s' })
      const plan = tokenBucket({ capacity: 2, refill: 2, per: '10s' })
      for (const [verb, used] of [
        ['penalty', 2.8],
        ['refund', 0.8],
        ['peek', 1.8],
        ['block', 1.8],
      ] as const)
        for (const given of [{ limit: plan }, {}]) {
          const { clock, one, two } = nodes({ mode, limit })
          expect((await one.check('a', { limit: plan, cost: 2 })).allowed).toBe(true)
          await clock.advance(1000)
          if (verb === 'peek') await two.peek('a', given)
          else if (verb === 'block') await two.block('a', '50ms')
          else expect(await one[verb]('a', 1, given)).toBe(true)
          await clock.advance(100)
          // A fifth of a cost has drained by now for each second.
          const { allowed, resetAfterMs } = await two.peek('a', { limit: plan })
          expect(allowed).toBe(used < 1)
          expect(resetAfterMs).toBe(5000 * (used + (allowed ? 1 : 0)) - 100)
          await expect(one.refund('a', 1, 5 as never)).rejects.toMatchObject({ code: 'ERR_OPTION' })
          await expect(one.penalty('a', 1, { limit: minute(3) })).rejects.toMatchObject({
            code: 'ERR_MISMATCH',
          })
          await Promise.all([one.close(), two.close()])
        }
    },
  )

  it.each(modes)(
    '%s: a bucket drains by the limit that was set since then, and by its own before',
    async (mode) => {
      const bucket = (capacity: number) => tokenBucket({ capacity, refill: capacity, per: '100s' })
      const { clock, one, two } = nodes({ mode, limit: bucket(100) })
      expect((await one.check('a', { cost: 100 })).allowed).toBe(true)
      await clock.advance(50_000)
      expect(await one.setLimit(bucket(10))).toBe(true)
      expect(await two.peek('a')).toMatchObject({ allowed: false, debt: 40, retryAfterMs: 410_000 })
      await clock.advance(100_000)
      // 50 have drained by then, and 10 since.
      expect(await two.peek('a')).toMatchObject({ allowed: false, debt: 30, resetAfterMs: 400_000 })
      expect(await two.setLimit(bucket(50))).toBe(true)
      await clock.advance(20_000)
      const { allowed, remaining } = await one.peek('a')
      expect(allowed).toBe(true)
      // In RAM a node goes by it once it has heard of it.
      expect(remaining).toBeGreaterThanOrEqual(mode === 'soft' ? 18 : 19)
      expect(remaining).toBeLessThanOrEqual(19)
      await Promise.all([one.close(), two.close()])
    },
  )

  it.each(['hard', 'leased'] as const)(
    '%s: a key that is refused by its new plan drains by it from then on',
    async (mode) => {
      const bucket = (capacity: number) => tokenBucket({ capacity, refill: capacity, per: '100s' })
      const [large, small] = [{ limit: bucket(100) }, { limit: bucket(10) }]
      const { clock, one, two } = nodes({ mode, limit: bucket(50) })
      expect((await one.check('a', { cost: 100, ...large })).allowed).toBe(true)
      await clock.advance(80_000)
      const refused = await two.check('a', small)
      expect(refused).toMatchObject({ allowed: false, retryAfterMs: 110_000 })
      await clock.advance(refused.retryAfterMs - 2000)
      expect(await one.check('a', small)).toMatchObject({ allowed: false })
      await clock.advance(2000)
      expect(await one.check('a', small)).toMatchObject({ allowed: true, remaining: 0 })
      await Promise.all([one.close(), two.close()])
    },
  )

  it.each(['one limit', 'several', 'a reserve too'])(
    '%s: a reservation gives back no more than is left of it, though what was booked beside it has not drained',
    async (what) => {
      const bucket = tokenBucket({ capacity: 60, refill: 60, per: '1m' })
      const limit = what === 'several' ? [bucket, fixedWindow({ limit: 100, window: '1h' })] : bucket
      for (const mode of modes) {
        const spike = what === 'a reserve too' ? { spike: { extra: 1, per: '1h' as const } } : {}
        const { clock, one } = nodes({ mode, limit, ...spike })
        const store = stores.get(clock) as Store
        const leased = createLimiter({ name: 'api', limit, store, clock, mode: 'leased' })
        await Promise.all(Array.from({ length: 6 }, () => leased.check('a')))
        const call = await one.reserve('a', 10, { settleAfter: '1h' })
        expect(call.allowed && !call.spike).toBe(true)
        await leased.close()
        // The 6 and the 10 have drained.
        await clock.advance(16_000)
        await one.check('a', { cost: 20 })
        await one.flush()
        expect(await call.release()).toBe(true)
        await one.flush()
        const { remaining, parts } = await one.peek('a')
        expect(parts?.[0]?.remaining ?? remaining, mode).toBe(39)
        await one.close()
      }
    },
  )

  it.each(modes)(
    '%s: a reservation gives back no more than is left of it, though what was in use beside it was given back too',
    async (mode) => {
      const { clock, one, two } = nodes({
        ...{ mode, limit: tokenBucket({ capacity: 100, refill: 100, per: '100s' }) },
      })
      const first = await one.reserve('a', 50)
      const second = await one.reserve('a', 50)
      expect(await first.release()).toBe(true)
      // The other 50 have drained.
      await clock.advance(50_000)
      expect((await one.check('a', { cost: 100 })).allowed).toBe(true)
      expect(await second.release()).toBe(true)
      await Promise.all([one.flush(), two.flush()])
      for (const node of [one, two]) expect((await node.peek('a')).allowed).toBe(false)
      await Promise.all([one.close(), two.close()])
    },
  )

  it.each(modes)(
    '%s: of a busy bucket each reservation gives back all that it did not need',
    async (mode) => {
      const { clock, one, two } = nodes({
        ...{ mode, limit: tokenBucket({ capacity: 1000, refill: 100, per: '1s' }) },
      })
      expect((await one.check('a', { cost: 700 })).allowed).toBe(true)
      await one.flush()
      let used = 700
      for (let round = 0; round < 20; round++) {
        const calls = await Promise.all(Array.from({ length: 5 }, () => one.reserve('a', 40)))
        expect(calls.every(({ allowed }) => allowed)).toBe(true)
        await clock.advance(1000)
        for (const call of calls) expect(await call.settle(20)).toBe(true)
        used += 5 * 20 - 100
      }
      // What is booked for it is no more.
      await one.close()
      // The last 20 of the 40 of each have not drained by then, since more was in use beside them.
      expect((await two.peek('a')).remaining).toBe(1000 - used - 1)
      await two.close()
    },
  )

  it.each(modes)(
    '%s: a reservation gives back no more than is left of it, whatever limit is set meanwhile',
    async (mode) => {
      const bucket = (capacity: number) => tokenBucket({ capacity, refill: capacity, per: '1m' })
      const { clock, one, two } = nodes({ mode, limit: bucket(100) })
      const call = await one.reserve('a', 50)
      expect(await one.setLimit(bucket(200))).toBe(true)
      await clock.advance(20_000)
      const taken = await one.check('a', { cost: 150 })
      const { remaining } = await one.peek('a')
      expect(await call.release()).toBe(true)
      // 50 of 100 are gone in half a minute: after 20 s a third of it is left.
      expect((await one.peek('a')).remaining - remaining).toBeLessThanOrEqual(17)
      expect(taken.source).not.toBe('outage')
      await Promise.all([one.close(), two.close()])
    },
  )

  it.each(
    modes.flatMap((mode) =>
      (['plan', 'limit that is set'] as const).map((faster) => [mode, faster] as const),
    ),
  )(
    '%s: a reservation gives back no more than is left of it, though a %s is faster only meanwhile',
    async (mode, faster) => {
      const bucket = (capacity: number) => tokenBucket({ capacity, refill: capacity, per: '100s' })
      const { clock, one, two } = nodes({ mode, limit: bucket(100) })
      const counted = createLimiter({
        ...{ name: 'api', limit: bucket(100), clock },
        store: stores.get(clock)!,
      })
      const call = await one.reserve('a', 50)
      expect(call.allowed).toBe(true)
      await one.flush()
      if (faster === 'plan') await two.check('a', { limit: bucket(1000) })
      else await two.setLimit(bucket(1000))
      await two.flush()
      // The 50 drain.
      await clock.advance(10_000)
      await counted.peek('a')
      if (faster === 'limit that is set') await two.setLimit(bucket(100))
      expect((await counted.check('a', { cost: 80 })).allowed).toBe(true)
      await call.release()
      expect((await counted.peek('a')).remaining).toBeLessThanOrEqual(20)
      await Promise.all([one.close(), two.close(), counted.close()])
    },
  )

  it.each([
    ['soft', 50],
    ['leased', 1],
  ] as const)(
    '%s: a reservation gives back no more than is left of it, though a plan drained faster what it seemed to be beside',
    async (mode, cost) => {
      const bucket = (capacity: number) => tokenBucket({ capacity, refill: capacity, per: '100s' })
      const { clock, one, two } = nodes({ mode, limit: bucket(1000), sync: { interval: '10s' } })
      const hard = createLimiter({
        ...{ name: 'api', limit: bucket(1000), clock },
        store: stores.get(clock)!,
      })
      await hard.check('a', { cost: 300 })
      await one.check('a')
      await clock.advance(1000)
      await hard.check('a', { limit: bucket(10_000) })
      await clock.advance(3200)
      await hard.check('a')
      await clock.advance(100)
      // As far as it knows 260 are in use, and they have drained.
      const call = await one.reserve('a', cost)
      expect(call).toMatchObject({ allowed: true, source: 'local' })
      await clock.advance(15_000)
      expect((await hard.check('a', { cost: 500 })).allowed).toBe(true)
      const { remaining } = await hard.peek('a')
      await call.release()
      expect((await hard.peek('a')).remaining).toBe(remaining)
      await Promise.all([one.close(), two.close(), hard.close()])
    },
  )
})
