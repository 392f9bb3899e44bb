import { expect, test } from 'vitest'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { createLimiter, type LimiterOptions } from '../index.ts'
import { memoryStore } from '../store/memory.ts'
import type { Reply, Request, Store, Table } from '../store/store.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const limit = fixedWindow({ limit: 1000, window: '365d' })

/** A store 20 ms away, of which the next answers may be lost. */
class FarStore implements Store {
  lost = 0
  private readonly under: Store

  constructor(private readonly clock: ManualClock) {
    this.under = memoryStore({ clock })
  }

  open(...call: Parameters<Store['open']>): Table {
    const table = this.under.open(...call)
    return {
      known: true,
      now: () => table.now(),
      latest: () => table.latest(),
      exchange: (request) => this.carry(table, request),
    }
  }

  private async carry(table: Table, request: Request): Promise<Reply> {
    await this.pass()
    const reply = await table.exchange(request)
    if (this.lost > 0) {
      this.lost--
      return new Promise(() => {})
    }
    await this.pass()
    return reply
  }

  private pass(): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(resolve, 10))
  }

  async close(): Promise<void> {}
}

function world(options: Partial<LimiterOptions<'soft' | 'leased'>>) {
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  const store = new FarStore(clock)
  const limiter = createLimiter({
    ...{ name: 'closing', limit, store, clock, random: () => 0.5, mode: 'leased', ...options },
    sync: { interval: '200ms', ...options.sync },
  })
  /** Counted and booked: what another limiter can't have. */
  const taken = async () => {
    const hard = createLimiter({ name: 'closing', limit, store, clock })
    const peek = hard.peek('key')
    await clock.advance(20)
    return limit.limit - (await peek).remaining - 1
  }
  return { clock, store, limiter, taken }
}

test.each<[string, Partial<LimiterOptions<'soft' | 'leased'>>]>([
  ['leased', { mode: 'leased' }],
  ['soft, maxOvershoot', { mode: 'soft', sync: { maxOvershoot: 0.05 } }],
])('%s: quota that is booked by an answer under way at the end goes back', async (_, options) => {
  const { clock, limiter, taken } = world(options)
  const check = limiter.check('key')
  await clock.advance(1000)
  await check
  expect(limiter.checkSync('key', { cost: 25 })).toMatchObject({ allowed: false, reason: 'sync' })
  await clock.advance(5)
  const closed = limiter.close()
  await clock.advance(1000)
  await closed
  expect(await taken()).toBe(1)
})

test('an answer that is lost at the end loses nothing', async () => {
  const { clock, store, limiter, taken } = world({ mode: 'soft' })
  const check = limiter.check('key', { cost: 7 })
  await clock.advance(1000)
  await check
  limiter.checkSync('key', { cost: 5 })
  store.lost = 1
  const closed = limiter.close()
  await clock.advance(1000)
  await closed
  expect(limiter.stats().pending).toBe(0)
  expect(await taken()).toBe(12)
})

test.each<[string, Partial<LimiterOptions<'soft' | 'leased'>>]>([
  ['leased', { mode: 'leased' }],
  ['soft, maxOvershoot', { mode: 'soft', sync: { maxOvershoot: 0.05 } }],
])('%s: quota that was booked by an answer which was lost goes back', async (_, options) => {
  const { clock, store, limiter, taken } = world(options)
  const check = limiter.check('key')
  await clock.advance(1000)
  await check
  store.lost = 1
  const unanswered = limiter.check('key', { cost: 25 })
  await clock.advance(150)
  expect(await unanswered).toMatchObject({ allowed: false, source: 'outage' })
  await clock.advance(10_000)
  expect(await taken()).toBe(1)
  const closed = limiter.close()
  await clock.advance(1000)
  await closed
  expect(await taken()).toBe(1)
  expect(limiter.stats().uncertain).toBe(0)
})
