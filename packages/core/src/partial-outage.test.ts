import { expect, it } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, type Store } from './index.ts'
import { faultyStore, ManualClock } from './testing.ts'

it.each(['hard', 'soft'] as const)(
  '%s: a reservation that one limit took, and another let pass in its outage, goes back of the one',
  async (mode) => {
    const clock = new ManualClock(1_000_000)
    const memory = memoryStore({ clock })
    const far = faultyStore(memory, { clock })
    const store: Store = {
      open: (name, ...more) => (name.endsWith('ip') ? far : memory).open(name, ...more),
      close: () => memory.close(),
    }
    const limit = fixedWindow({ limit: 100, window: '1h' })
    const scopes = { user: limit, ip: limit }
    const limiter = createLimiter({
      name: 'api',
      scopes,
      mode,
      store,
      clock,
      onOutage: 'allow',
      random: () => 0.5,
    })
    await limiter.check({ user: 'a', ip: 'b' })
    far.goAway(1000)
    const call = await limiter.reserve({ user: 'a', ip: 'b' }, 50)
    expect(call.allowed).toBe(true)
    await clock.advance(7000)
    expect(await call.release()).toBe(true)
    const { parts } = await limiter.peek({ user: 'a', ip: 'b' })
    // As a check of 1 would leave it.
    expect(parts?.map(({ remaining }) => remaining)).toEqual([98, 98])
    await limiter.close()
  },
)
