import type { Mode } from '@spillway/core'
import type { RateLimitOptions } from '@spillway/http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { limiterOf } from './limiter-of.ts'
import { SERVERS } from './servers/index.ts'
import { type Around, CAUGHT, type Serve } from './servers/served.ts'

// What an own `response` may hold, beside text: what JavaScript allows, and what a status asks for.

describe.each(Object.entries(SERVERS))('%s', (_, serve) => {
  async function refused(answer: object, init: RequestInit = {}, around?: Around, mode: Mode = 'soft') {
    const options = { limiter: limiterOf(mode), response: () => answer } as RateLimitOptions<unknown>
    const served = await (serve as Serve)(options, around)
    onTestFinished(() => served.close())
    const ask = (init?: RequestInit) =>
      fetch(`${served.url}/`, { redirect: 'manual', signal: AbortSignal.timeout(3000), ...init })
    expect((await ask()).status).toBe(200)
    return ask(init)
  }

  test('several cookies', async () => {
    const response = await refused({ headers: { 'Set-Cookie': ['a=1', 'b=2'] } })
    expect([response.status, response.headers.getSetCookie()]).toEqual([429, ['a=1', 'b=2']])
  })

  test('a number as a header', async () => {
    const response = await refused({ headers: { 'X-Wait': 5 } })
    expect([response.status, response.headers.get('x-wait')]).toEqual([429, '5'])
  })

  test.each(['soft', 'hard'] as const)('a symbol is no header (%s)', async (mode) => {
    const response = await refused(
      { headers: { 'X-App': 'limited', 'x-limited': Symbol('s') } },
      {},
      {},
      mode,
    )
    expect([response.status, response.headers.get('x-app')]).toEqual([500, null])
    expect(await response.text()).toContain(CAUGHT)
  })

  test.each([{ Trailer: 'x-late' }, { 'transfer-encoding': 'chunked' }, { 'Keep-Alive': 'timeout=5' }])(
    'what frames a body is for the server to say: %o',
    async (headers) => {
      const response = await refused({ headers }, {}, {}, 'hard')
      expect([response.status, response.headers.get('transfer-encoding')]).toEqual([500, null])
      expect(await response.text()).toContain(CAUGHT)
    },
  )

  test('a length that is not that of the body is not sent', async () => {
    const response = await refused({ headers: { 'Content-Length': '1' }, body: 'wait' })
    expect([response.status, await response.text()]).toEqual([429, 'wait'])
  })

  test.each([new Headers({ 'X-Calm': 'yes' }), new Map([['X-Calm', 'yes']]), 'X-Calm: yes'])(
    'headers that are no object are not left out in silence: %o',
    async (headers) => {
      const response = await refused({ headers })
      expect([response.status, await response.text()]).toEqual([500, expect.stringContaining(CAUGHT)])
    },
  )

  test('a redirection', async () => {
    const response = await refused({ status: 303, headers: { Location: '/wait' }, body: '' })
    expect([response.status, response.headers.get('location')]).toEqual([303, '/wait'])
    expect(await response.text()).toBe('')
  })

  test('a header object without a prototype', async () => {
    const headers = Object.assign(Object.create(null), { 'X-Calm': 'yes' })
    const response = await refused({ headers, body: 'wait' })
    expect([response.status, response.headers.get('x-calm')]).toEqual([429, 'yes'])
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; ?charset=utf-8$/i)
    expect(await response.text()).toBe('wait')
  })

  test.each(['content-type', 'Content-Type', 'CONTENT-TYPE'])('a type of its own: %s', async (name) => {
    const response = await refused({ headers: { [name]: 'text/html; charset=utf-8' }, body: '<p>wait</p>' })
    expect(response.headers.get('content-type')).toMatch(/^text\/html; ?charset=utf-8$/i)
    expect(await response.text()).toBe('<p>wait</p>')
  })

  test('JSON and text beyond Latin-1', async () => {
    const json = await refused({ body: { wait: '🐢 später' } })
    expect(json.headers.get('content-type')).toMatch(/^application\/json/)
    expect(await json.json()).toEqual({ wait: '🐢 später' })
    expect(await (await refused({ body: '🐢 später' })).text()).toBe('🐢 später')
  })

  test('HEAD gets no own body', async () => {
    const response = await refused({ status: 420, body: '🐢' }, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([420, ''])
  })

  test.each([204, 205, 304])('an answer of %i has no body', async (status) => {
    const response = await refused({ status, headers: { 'X-Calm': 'yes' } })
    expect([response.status, await response.text()]).toEqual([status, ''])
    expect(response.headers.get('x-calm')).toBe('yes')
    // 304 may tell of the length of what it is not.
    if (status !== 304) expect(Number(response.headers.get('content-length') ?? 0)).toBe(0)
  })
})
