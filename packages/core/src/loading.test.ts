import { expect, it, onTestFinished, vi } from 'vitest'

it.each(['hard', 'soft', 'leased'] as const)(
  'a module may make a %s limiter: Cloudflare’s workers give no random numbers, nor timers, while it loads',
  async (mode) => {
    const draws = [
      vi.spyOn(crypto, 'getRandomValues'),
      vi.spyOn(crypto, 'randomUUID'),
      vi.spyOn(Math, 'random'),
    ]
    const timers = (['setTimeout', 'setInterval', 'setImmediate'] as const).map((name) =>
      vi.spyOn(globalThis, name),
    )
    onTestFinished(() => {
      for (const spy of [...draws, ...timers]) spy.mockRestore()
    })
    vi.resetModules()
    const { createLimiter, fixedWindow } = await import('./index.ts')
    for (const spy of timers) spy.mockClear() // the loader's own
    const limiter = createLimiter({ name: 'api', mode, limit: fixedWindow({ limit: 1, window: '1m' }) })
    for (const spy of [...draws, ...timers]) expect(spy).not.toHaveBeenCalled()

    expect((await limiter.check('key')).allowed).toBe(true)
    expect(draws[0]).toHaveBeenCalled()
    expect(draws[1]).toHaveBeenCalled()
    await limiter.close()
  },
)
