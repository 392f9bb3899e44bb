import { createLimiter, fixedWindow, type Mode } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import type { RateLimitOptions } from '@spillway/http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SERVERS } from './servers/index.ts'
import type { Serve } from './servers/served.ts'

// What an own `response` or `onDenied` does to the server, in each framework and mode.

const limiterOf = (mode: Mode) =>
  createLimiter({
    name: 'api',
    mode,
    clock: new ManualClock(0),
    limit: fixedWindow({ limit: 1, window: '1h' }),
  })

describe.each(Object.entries(SERVERS))('%s', (name, serve) => {
  async function start(options: RateLimitOptions<unknown>) {
    const served = await (serve as Serve)(options)
    onTestFinished(() => served.close())
    return () => fetch(`${served.url}/`, { signal: AbortSignal.timeout(3000) })
  }

  describe.each(['hard', 'soft'] as const)('%s', (mode) => {
    test.each([
      { headers: { 'x-limited': 'two\nlines' } },
      { headers: { 'no name': '1' } },
      { body: { amount: 1n } },
      ...(name === 'hono' || name === 'fetch' ? [] : [{ status: 1000 }]), // there it is the platform's to write
    ])('an answer that cannot be written fails, and ends nobody: %o', async (answer) => {
      const get = await start({ limiter: limiterOf(mode), response: () => answer })
      expect((await get()).status).toBe(200)
      const response = await get()
      expect(response.status).toBe(500)
      expect(await response.text()).not.toBe('hello')
    })

    test("an own Retry-After is the answer's", async () => {
      const get = await start({
        limiter: limiterOf(mode),
        response: () => ({ headers: { 'Retry-After': '7' } }),
      })
      await get()
      expect((await get()).headers.get('retry-after')).toBe('7')
    })

    test('dryRun neither waits for onDenied nor fails with it', async () => {
      const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
      onTestFinished(() => printed.mockRestore())
      const never = new Promise<void>(() => {})
      const slow = await start({ limiter: limiterOf(mode), dryRun: true, onDenied: () => never })
      expect([(await slow()).status, (await slow()).status]).toEqual([200, 200])
      for (const onDenied of [
        () => {
          throw new Error('sync')
        },
        () => Promise.reject(new Error('async')),
      ]) {
        const get = await start({ limiter: limiterOf(mode), dryRun: true, onDenied })
        expect([(await get()).status, (await get()).status]).toEqual([200, 200])
      }
      expect(printed).toHaveBeenCalledTimes(2)
    })
  })
})
