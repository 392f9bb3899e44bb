import { expect, it, vi } from 'vitest'
import { slowStore } from '../test/slow-store.ts'
import { createLimiter, fixedWindow, memoryStore, slidingLog } from './index.ts'
import { LocalKey } from './local/local-key.ts'
import { ManualClock } from './testing.ts'

/** Whether it has ended by then, on that clock. */
async function endsWithin(clock: ManualClock, ms: number, work: Promise<unknown>): Promise<boolean> {
  let hasEnded = false
  void work.then(() => {
    hasEnded = true
  })
  await clock.advance(ms)
  return hasEnded
}

it.each(['hard', 'soft', 'leased'] as const)(
  '%s: a limiter closes within ten seconds and what a check may wait, whatever waits for a slow store',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const store = slowStore(
      clock,
      () => 45,
      () => 45,
      memory,
    )
    const limit = slidingLog({ limit: 10_000, window: '1h' })
    const limiter = createLimiter({ name: 'api', limit, mode, store, clock, random: () => 0.5 })
    // Four at a time: for 45 s.
    const told = Promise.all(Array.from({ length: 2000 }, () => limiter.penalty('key')))
    expect(await endsWithin(clock, 10_100, limiter.close())).toBe(true)
    const charged = (await told).filter((is) => is).length
    // Each of them knows whether it was.
    expect(charged).toBeGreaterThan(400)
    expect(charged).toBeLessThan(500)
    const counted = createLimiter({ name: 'api', limit, store: memory, clock })
    expect((await counted.peek('key')).remaining).toBe(10_000 - charged - 1)
  },
)

it('what a soft limiter has not settled by then is pending', async () => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const store = slowStore(
    clock,
    () => 2500,
    () => 2500,
    memory,
  )
  const limit = fixedWindow({ limit: 100, window: '1h' })
  const limiter = createLimiter({ name: 'api', limit, mode: 'soft', store, clock, timeout: '6s' })
  // 2000 every five seconds.
  for (let key = 0; key < 8000; key++) limiter.checkSync(`key-${key}`)
  expect(await endsWithin(clock, 16_000, limiter.close())).toBe(true)
  const { pending } = limiter.stats()
  expect(pending).toBeGreaterThan(1000)
  const counted = createLimiter({ name: 'api', limit, store: memory, clock })
  let settled = 0
  for (let key = 0; key < 8000; key++) if ((await counted.peek(`key-${key}`)).remaining === 98) settled++
  expect(settled).toBe(8000 - pending)
})

it.each(['soft', 'leased'] as const)(
  '%s: what is given up then is not gone through key by key',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const took = { ms: 0 }
    const store = slowStore(clock, () => took.ms)
    const limit = fixedWindow({ limit: 100, window: '1h' })
    const options = {
      name: 'api',
      limit,
      mode,
      store,
      clock,
      timeout: '6s',
      sync: { interval: '10m' },
    } as const
    const limiter = createLimiter({ ...options, random: () => 0.5 })
    const checks = Promise.all(Array.from({ length: 10_000 }, (_, key) => limiter.check(`key-${key}`)))
    await clock.advance(0)
    await checks
    await limiter.flush()
    for (let key = 0; key < 10_000; key++) limiter.checkSync(`key-${key}`)
    took.ms = 2500
    const closed = limiter.close()
    await clock.advance(9999)
    const looks = vi.spyOn(LocalKey.prototype, 'operation')
    expect(await endsWithin(clock, 6100, closed)).toBe(true)
    expect(limiter.stats().pending).toBeGreaterThan(4000)
    expect(looks).not.toHaveBeenCalled()
    looks.mockRestore()
  },
)
