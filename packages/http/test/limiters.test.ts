import {
  type CheckOptions,
  createLimiter,
  type Duration,
  fixedWindow,
  type LimiterOptions,
  leakyBucket,
  memoryStore,
  type SoftLimiter,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import { globally, type Problem, type RequestLimiter } from '@spillway/http'
import { rateLimit } from '@spillway/http/fetch'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { listOf } from './standing-fields.ts'

const limit = fixedWindow({ limit: 5, window: '1h' })
/** Stands still, so that no busy machine lets a check run out of time. */
const clock = new ManualClock(0)
const request = () => new Request('http://localhost/')

async function ask(limiter: RequestLimiter | readonly RequestLimiter[]): Promise<Response> {
  return rateLimit({ limiter, key: globally() })(() => new Response('hello'))(request())
}

function awayLimiter(mode: 'hard' | 'soft', onOutage: 'throw' | 'allow' = 'throw'): RequestLimiter {
  const store = redisStore('redis://127.0.0.1:1')
  onTestFinished(() => store.close())
  return createLimiter({ name: 'away', limit, mode, store, onOutage })
}

describe('where one of several limiters fails', () => {
  test.each(['hard', 'soft'] as const)('those before it are given back (%s)', async (mode) => {
    const first = createLimiter({ name: 'first', limit, clock, mode })
    await expect(ask([first, awayLimiter('hard')])).rejects.toMatchObject({ name: 'StoreError' })
    expect((await first.peek('global')).remaining).toBe(4) // what a check would leave of 5
  })

  test('so are they where it throws at once', async () => {
    const first = createLimiter({ name: 'first', limit, clock, mode: 'soft' })
    const closed = createLimiter({ name: 'closed', limit, clock, mode: 'soft' })
    await closed.close()
    await expect(ask([first, closed])).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect((await first.peek('global')).remaining).toBe(4)
  })
})

describe('where one of several limiters refuses, another that took nothing gets nothing back', () => {
  const fixed = (limit: number) => fixedWindow({ limit, window: '1h' })
  const none = () => createLimiter({ name: 'none', limit: fixed(1), clock, deny: ['global'] })

  /** A limiter whose limit is used up, and one with options of its own that counts the same. */
  async function usedUp(options: Partial<LimiterOptions<'hard'>>) {
    const shared = { name: 'first', limit: fixed(3), clock, store: memoryStore({ clock }) }
    const plain = createLimiter(shared)
    await plain.check('global', { cost: 3 })
    return { plain, first: createLimiter({ ...shared, ...options }) }
  }

  test('since it is tried out only', async () => {
    const { plain, first } = await usedUp({ dryRun: true })
    const response = await ask([first, none()])
    expect(response.status).toBe(429)
    expect(listOf(response, 'ratelimit')).toMatchObject({ first: { r: 0 } })
    expect((await plain.peek('global')).allowed).toBe(false)
  })

  test('since a reserve paid', async () => {
    const { plain, first } = await usedUp({ spike: { extra: 5, per: '1h' } })
    const response = await ask([first, none()])
    expect(response.status).toBe(429)
    expect(listOf(response, 'ratelimit')).toMatchObject({ first: { r: 0 } })
    expect((await plain.peek('global')).allowed).toBe(false)
  })

  test('since its key is on a list', async () => {
    const { plain, first } = await usedUp({ allow: ['global'] })
    const response = await ask([first, none()])
    expect(listOf(response, 'ratelimit')).toMatchObject({ first: { r: 3 } })
    expect((await plain.peek('global')).allowed).toBe(false)
  })

  test('since its store is away', async () => {
    const first = awayLimiter('hard', 'allow')
    const refund = vi.spyOn(first, 'refund')
    const response = await ask([first, none()])
    expect(response.status).toBe(429)
    expect(listOf(response, 'ratelimit')).toMatchObject({ away: { r: 5 } })
    expect(refund).not.toHaveBeenCalled()
  })
})

test('hard and soft limiters go together', async () => {
  const hard = createLimiter({ name: 'hard', limit, clock })
  const soft = createLimiter({ name: 'soft', limit, clock, mode: 'soft' })
  const small = createLimiter({ name: 'small', clock, limit: fixedWindow({ limit: 1, window: '1h' }) })
  expect((await ask([soft, hard, soft, small])).status).toBe(200)
  expect((await ask([soft, hard, soft, small])).status).toBe(429)
  expect((await hard.peek('global')).remaining).toBe(3)
  expect((await soft.peek('global')).remaining).toBe(2)
})

test('of several leaky buckets the longest delay is waited for, whichever is asked first', async () => {
  const paced = (per: Duration) =>
    createLimiter({ name: `paced-${per}`, limit: leakyBucket({ capacity: 5, leak: 1, per }), clock })
  for (const pers of [
    ['10s', '3s'],
    ['3s', '10s'],
  ]) {
    const clock = new ManualClock(0)
    const limiter = pers.map(paced)
    let served = 0
    const limited = rateLimit({ limiter, key: globally(), clock })(() => new Response(`${++served}`))
    await limited(request())
    const second = limited(request())
    await clock.advance(9_999)
    expect(served).toBe(1)
    await clock.advance(1)
    expect(await (await second).text()).toBe('2')
  }
})

test('what a client leaves that hangs up goes back by its plan', async () => {
  const bucket = (capacity: number) => leakyBucket({ capacity, leak: capacity, per: '1h' })
  const limiter = createLimiter({ name: 'paced', limit: bucket(1), clock })
  const refund = vi.spyOn(limiter, 'refund')
  const plan = bucket(3)
  const limited = rateLimit({ limiter, key: globally(), plan: () => plan, cost: 2, clock })(
    () => new Response('hello'),
  )
  await limiter.check('global', { limit: plan })
  const client = new AbortController()
  const pending = limited(new Request('http://localhost/', { signal: client.signal }))
  client.abort()
  expect((await pending).status).toBe(499)
  expect(refund.mock.calls).toEqual([['global', 2, { limit: plan }]])
  expect((await limiter.peek('global', { limit: plan })).remaining).toBe(1) // what a check would leave of 3
})

test.each(['hard', 'soft'] as const)('a refusal names each of the limits that refused (%s)', async (mode) => {
  const violated = async (limiter: RequestLimiter) =>
    ((await (await ask(limiter)).json()) as Problem)['violated-policies']
  const fixed = (limit: number, window: Duration) => fixedWindow({ limit, window })
  const limit = [fixed(1, '1m'), fixed(5, '1h'), fixed(1, '1d')]
  const limiter = createLimiter({ name: 'several', mode, limit, clock })
  expect((await ask(limiter)).status).toBe(200)
  expect(await violated(limiter)).toEqual(['1-per-1m', '1-per-1d'])

  const denying = createLimiter({ name: 'denying', mode, limit, clock, deny: ['global'] })
  expect(await violated(denying)).toHaveLength(1)
})

test.each([false, true])(
  'of a costly request nothing stays taken where a later one refuses (dry run: %s)',
  async (dryRun) => {
    const first = createLimiter({ name: 'first', limit, clock })
    const small = createLimiter({ name: 'small', clock, limit: fixedWindow({ limit: 1, window: '1h' }) })
    const options = { limiter: [first, small], key: globally(), cost: 3, dryRun }
    const response = await rateLimit(options)(() => new Response('hello'))(request())
    expect(response.status).toBe(dryRun ? 200 : 429)
    expect(listOf(response, 'ratelimit')).toMatchObject({ first: { r: 5 } })
    expect((await first.peek('global')).remaining).toBe(4) // what a check would leave of 5
  },
)

test('a function may choose several limiters', async () => {
  const [one, two] = ['one', 'two'].map((name) => createLimiter({ name, limit, clock }))
  const limited = rateLimit({ limiter: () => [one!, two!], key: globally() })(() => new Response('hello'))
  expect(listOf(await limited(request()), 'ratelimit')).toMatchObject({ one: { r: 4 }, two: { r: 4 } })
})

test('a refusal is answered once onDenied has done its work, and fails if that fails', async () => {
  const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: '1h' }), clock })
  await limiter.check('global')
  const limited = (onDenied: () => Promise<void>) =>
    rateLimit({ limiter, key: globally(), onDenied })(() => new Response('hello'))(request())

  const work: (() => void)[] = []
  const answered = vi.fn()
  void Promise.resolve(limited(() => new Promise((done) => void work.push(done)))).then(answered)
  await vi.waitUntil(() => work.length === 1)
  await new Promise(setImmediate)
  expect(answered).not.toHaveBeenCalled()
  work[0]!()
  await vi.waitUntil(() => answered.mock.calls.length === 1)
  expect(answered.mock.calls[0]).toMatchObject([{ status: 429 }])

  await expect(limited(() => Promise.reject(new Error('no log')))).rejects.toThrow('no log')
})

test('a plan is for one limiter', async () => {
  const limiter = () => [
    createLimiter({ name: 'one', limit, clock }),
    createLimiter({ name: 'two', limit, clock }),
  ]
  const limited = rateLimit({ limiter, key: globally(), plan: () => limit })(() => new Response('hello'))
  expect(() => limited(request())).toThrow('plan is [Function: plan]: give one limiter')
})

test('the store is asked where only it can say', async () => {
  const soft: SoftLimiter = createLimiter({ name: 'soft', limit, clock, mode: 'soft' })
  const asked: string[] = []
  const unsure: RequestLimiter = {
    name: 'unsure',
    limit,
    check(key: string, options?: CheckOptions) {
      asked.push('check')
      return soft.check(key, options)
    },
    checkSync(key: string, options?: CheckOptions) {
      asked.push('checkSync')
      const { remaining, resetAfterMs } = soft.checkSync(key, options)
      return {
        ...{ allowed: false, limit: 5, remaining, retryAfterMs: 1, resetAfterMs, delayMs: 0 },
        ...{ source: 'local', reason: 'sync', name: undefined },
      }
    },
    refund: (key: string, cost) => soft.refund(key, cost),
  }
  const response = await ask(unsure)
  expect(response.status).toBe(200)
  expect(asked).toEqual(['checkSync', 'check'])
})
