import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { createLimiter, fixedWindow, memoryStore, StoreError } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each(['leased', 'capped'] as const)(
  '%s: quota that was booked by an answer that was lost goes back after the outage, also of a key that was pushed out meanwhile',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const fault = { loses: false }
    const store = farStore(memory, async (table, request) => {
      const reply = await table.exchange(request)
      if (fault.loses) throw new StoreError('ERR_STORE_TIMEOUT', 'lost', { uncertain: true })
      return reply
    })
    const modes = {
      leased: { mode: 'leased' },
      capped: { mode: 'soft', sync: { maxOvershoot: 0.1 } },
    } as const
    const settings = {
      name: 'api',
      limit: fixedWindow({ limit: 10, window: '1h' }),
      clock,
      random: () => 0.5,
      ...modes[mode],
    }
    const a = createLimiter({ ...settings, store, maxKeys: 16 })
    const b = createLimiter({ ...settings, store: memory })
    await a.check('first')
    await b.check('first')
    await clock.advance(2000)
    fault.loses = true
    const checks = [a.check('key')]
    await clock.advance(0)
    for (let n = 0; n < 40; n++) checks.push(a.check(`other-${n}`))
    for (let n = 0; n < 40; n++) {
      await clock.advance(20)
      void a.check(`more-${n}`)
    }
    await clock.advance(3000)
    await Promise.all(checks)
    expect(a.stats().degraded).toBe(true)
    fault.loses = false
    await clock.advance(20_000)
    expect(a.stats()).toMatchObject({ degraded: false })
    let allowed = 0
    for (let n = 0; n < 10; n++) {
      const check = b.check('key')
      await clock.advance(200)
      if ((await check).allowed) allowed++
    }
    expect(allowed).toBe(10)
    await Promise.all([a.close(), b.close(), clock.advance(5000)])
  },
)
