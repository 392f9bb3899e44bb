import type { RateLimitOptions } from '@spillway/http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { limiterOf } from './limiter-of.ts'
import { SERVERS } from './servers/index.ts'
import { type Around, CAUGHT, type Serve } from './servers/served.ts'

// What an own `response` or `onDenied` does to the server, in each framework and mode.

describe.each(Object.entries(SERVERS))('%s', (name, serve) => {
  async function start(options: RateLimitOptions<unknown>, around?: Around) {
    const served = await (serve as Serve)(options, around)
    onTestFinished(() => served.close())
    return () => fetch(`${served.url}/`, { signal: AbortSignal.timeout(3000) })
  }

  describe.each(['hard', 'soft'] as const)('%s', (mode) => {
    test.each([
      { headers: { 'x-limited': 'two\nlines' } },
      { headers: { 'no name': '1' } },
      { body: { amount: 1n } },
      { status: 1000 },
      { status: 101 },
      { body: { toJSON: () => undefined } },
    ])("an answer that cannot be written goes to the framework's error path: %o", async (answer) => {
      const get = await start({ limiter: limiterOf(mode), response: () => answer })
      expect((await get()).status).toBe(200)
      const response = await get()
      expect(response.status).toBe(500)
      expect(await response.text()).toContain(CAUGHT)
      expect(response.headers.has('retry-after')).toBe(false)
    })

    if (name !== 'hono' && name !== 'fetch') {
      test('an answer that cannot be written takes away no header of the app', async () => {
        const get = await start(
          {
            limiter: limiterOf(mode),
            response: () => ({ headers: { 'X-App': 'limited', 'x-limited': 'two\nlines' } }),
          },
          { before: (raw) => void raw?.setHeader('x-app', 'shop') },
        )
        await get()
        const response = await get()
        expect([response.status, response.headers.get('x-app')]).toEqual([500, 'shop'])
      })
    }

    test('an answer of headers alone is problem details still', async () => {
      const get = await start({
        limiter: limiterOf(mode),
        response: () => ({ headers: { 'X-Calm': 'yes' } }),
      })
      await get()
      const response = await get()
      expect(response.headers.get('x-calm')).toBe('yes')
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(await response.json()).toMatchObject({ status: 429 })
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
