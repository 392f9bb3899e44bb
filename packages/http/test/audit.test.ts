import type { Server } from 'node:http'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { createLimiter, fixedWindow, leakyBucket, type Mode } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import { byApiKey, globally, type RateLimitOptions, type Refusal, type RequestFacts } from '@spillway/http'
import { parseDictionary, parseList } from 'structured-headers'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { SERVERS } from './servers/index.ts'
import { type Around, CAUGHT, GREETING, type Serve } from './servers/served.ts'
import { listOf } from './standing-fields.ts'

const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'
const REDUCED_CAPACITY = 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity'
/** Nothing listens on a port of 1. */
const NOWHERE = 'redis://127.0.0.1:1'

function limiterOf(limit = 2, name = 'api', mode: Mode = 'hard') {
  const clock = new ManualClock(0)
  return createLimiter({ name, mode, clock, limit: fixedWindow({ limit, window: '1m' }) })
}

/** Patient, since the machine may be busy. */
const until = (condition: () => boolean | Promise<boolean>) => vi.waitUntil(condition, { timeout: 20_000 })

const connectionsOf = (server: Server) => promisify(server.getConnections.bind(server))()

describe.each(Object.entries(SERVERS))('%s', (name, serve) => {
  const hasRawResponse = !['hono', 'fetch'].includes(name)

  async function start(options: RateLimitOptions<unknown>, around?: Around) {
    const served = await (serve as Serve)(options, around)
    onTestFinished(() => served.close())
    const get = (headers: Record<string, string> = {}, init: RequestInit = {}) =>
      fetch(`${served.url}/`, { ...init, headers })
    return { ...served, get }
  }

  test('lets an allowed request through, and tells where the client stands', async () => {
    const { get } = await start({ limiter: limiterOf() })
    const response = await get()
    expect(response.status).toBe(200)
    expect(await response.text()).toBe(GREETING)
    expect(listOf(response, 'ratelimit-policy')).toEqual({ api: { q: 2, w: 60 } })
    expect(listOf(response, 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
    expect(response.headers.has('retry-after')).toBe(false)
  })

  test('answers 429 with Retry-After, headers and problem details', async () => {
    const { get, handled } = await start({ limiter: limiterOf(1) })
    await get()
    const response = await get()
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(listOf(response, 'ratelimit-policy')).toEqual({ api: { q: 1, w: 60 } })
    expect(listOf(response, 'ratelimit')).toEqual({ api: { r: 0, t: 60 } })
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json(; charset=utf-8)?$/)
    expect(await response.json()).toEqual({
      type: QUOTA_EXCEEDED,
      title: expect.any(String),
      status: 429,
      detail: 'The limit "api" of 1 is used up. Try again in 60 s.',
      'violated-policies': ['api'],
    })
    expect(handled()).toBe(1)
  })

  test('answers HEAD without a body', async () => {
    const { get } = await start({ limiter: limiterOf(1) })
    await get()
    const response = await get({}, { method: 'HEAD' })
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(await response.text()).toBe('')
    expect((await get()).status).toBe(429) // on the same connection: no stray body confuses the next answer
  })

  test('leaves Retry-After out where waiting does not help', async () => {
    const { get } = await start({ limiter: limiterOf(1), cost: 2 })
    const response = await get()
    expect(response.status).toBe(429)
    expect(response.headers.has('retry-after')).toBe(false)
    expect(listOf(response, 'ratelimit')).toEqual({ api: { r: 1 } })
  })

  describe('while the store is away', () => {
    const outage = (onOutage: 'deny' | 'allow' | 'throw') => {
      const store = redisStore(NOWHERE)
      onTestFinished(() => store.close())
      return createLimiter({ name: 'api', store, onOutage, limit: fixedWindow({ limit: 2, window: '1m' }) })
    }

    test('answers 503 where the limiter denies', async () => {
      const { get, handled } = await start({ limiter: outage('deny') })
      const response = await get()
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
      expect(await response.json()).toMatchObject({
        type: REDUCED_CAPACITY,
        status: 503,
        'violated-policies': ['api'],
      })
      expect(handled()).toBe(0)
    })

    test('answers as ever where the limiter allows', async () => {
      const { get } = await start({ limiter: outage('allow') })
      expect((await get()).status).toBe(200)
    })

    test('hands the error to the framework where the limiter throws', async () => {
      const { get } = await start({ limiter: outage('throw') })
      const response = await get()
      expect(response.status).toBe(500)
      expect(await response.text()).toContain(CAUGHT)
    })
  })

  test('writes the headers of older drafts', async () => {
    const clock = new ManualClock(100_000)
    const limiter = () =>
      createLimiter({ name: 'api', clock, limit: fixedWindow({ limit: 2, window: '50s' }) })
    const seven = await (await start({ limiter: limiter(), headers: 'draft-7' })).get()
    const state = [...parseDictionary(seven.headers.get('ratelimit')!)].map(([key, [value]]) => [key, value])
    expect(Object.fromEntries(state)).toEqual({ limit: 2, remaining: 1, reset: 50 })
    const [[quota, parameters]] = parseList(seven.headers.get('ratelimit-policy')!) as [
      [number, Map<string, number>],
    ]
    expect([quota, parameters.get('w')]).toEqual([2, 50])

    const older = await (await start({ limiter: limiter(), clock, headers: ['draft-6', 'legacy'] })).get()
    expect(Object.fromEntries(older.headers)).toMatchObject({
      ...{ 'ratelimit-limit': '2', 'ratelimit-remaining': '1', 'ratelimit-reset': '50' },
      ...{ 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '150' },
    })
    expect(older.headers.has('ratelimit')).toBe(false)

    const none = await (await start({ limiter: limiter(), headers: false })).get()
    expect([...none.headers.keys()].filter((header) => header.includes('ratelimit'))).toEqual([])
  })

  test('lists several limits, and takes from none where one refuses', async () => {
    const burst = limiterOf(3, 'burst')
    const daily = limiterOf(1, 'daily')
    const { get } = await start({ limiter: [burst, daily], key: globally() })
    const allowed = await get()
    expect(listOf(allowed, 'ratelimit')).toEqual({ burst: { r: 2, t: 60 }, daily: { r: 0, t: 60 } })

    const refused = await get()
    expect(refused.status).toBe(429)
    expect(await refused.json()).toMatchObject({ 'violated-policies': ['daily'] })
    expect(listOf(refused, 'ratelimit')).toEqual({ burst: { r: 2, t: 60 }, daily: { r: 0, t: 60 } })
    expect((await burst.peek('global')).remaining).toBe(1) // what a check would leave: 1 of 3 is used
  })

  test('appends to the list of a limit before it', async () => {
    const { get } = await start(
      { limiter: limiterOf(5, 'outer'), headers: ['draft-11', 'legacy'] },
      { further: [{ limiter: limiterOf(2, 'inner'), headers: ['draft-11', 'legacy'] }] },
    )
    const response = await get()
    expect(listOf(response, 'ratelimit-policy')).toEqual({ outer: { q: 5, w: 60 }, inner: { q: 2, w: 60 } })
    expect(listOf(response, 'ratelimit')).toEqual({ outer: { r: 4, t: 60 }, inner: { r: 1, t: 60 } })
    expect(response.headers.get('x-ratelimit-remaining')).toBe('1') // the tighter of the two
  })

  test('answers as `response` says, and tells `onDenied`', async () => {
    const denied: Refusal[] = []
    const { get } = await start({
      limiter: limiterOf(1),
      key: globally(),
      onDenied: (refusal) => void denied.push(refusal),
      response: async ({ retryAfter }) => ({
        status: 420,
        headers: { 'X-Calm': 'yes' },
        body: { wait: retryAfter },
      }),
    })
    await get()
    expect(denied).toEqual([])
    const response = await get()
    expect(response.status).toBe(420)
    expect(response.headers.get('x-calm')).toBe('yes')
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(await response.json()).toEqual({ wait: 60 })
    expect(denied).toMatchObject([
      { status: 429, key: 'global', retryAfter: 60, decision: { reason: 'limit' } },
    ])
  })

  test('refuses nothing in a dry run, but counts and tells', async () => {
    const onDenied = vi.fn()
    const { get } = await start({ limiter: limiterOf(1), dryRun: true, onDenied })
    await get()
    const response = await get()
    expect(response.status).toBe(200)
    expect(listOf(response, 'ratelimit')).toEqual({ api: { r: 0, t: 60 } })
    expect(response.headers.has('retry-after')).toBe(false)
    expect(onDenied).toHaveBeenCalledTimes(1)
  })

  test('leaves requests alone that are skipped, have no key or no limiter', async () => {
    const limiter = limiterOf(1)
    for (const options of [
      { limiter, skip: async () => true },
      { limiter, key: async () => undefined },
      { limiter: async () => undefined },
    ]) {
      const { get } = await start(options)
      const response = await get()
      expect(response.status).toBe(200)
      expect(response.headers.has('ratelimit')).toBe(false)
    }
    expect(limiter.stats().checks).toBe(0)
  })

  test('asks what a request costs, and which plan its client has', async () => {
    const plans = { free: limiterOf(10, 'free'), pro: limiterOf(100, 'pro') }
    const { get } = await start({
      limiter: (_, facts) => (facts.header('X-Plan') === 'pro' ? plans.pro : plans.free),
      cost: async (_, facts) => Number(facts.header('x-cost')),
    })
    expect(listOf(await get({ 'x-cost': '4' }), 'ratelimit')).toEqual({ free: { r: 6, t: 60 } })
    expect(listOf(await get({ 'x-cost': '30', 'x-plan': 'pro' }), 'ratelimit')).toEqual({
      pro: { r: 70, t: 60 },
    })
  })

  test.each(['hard', 'soft'] as const)(
    'asks for the limits of a plan, and keeps the count (%s)',
    async (mode) => {
      const pro = fixedWindow({ limit: 5, window: '1m' })
      const limiter = limiterOf(2, 'api', mode)
      const { get } = await start({
        limiter,
        key: globally(),
        plan: (_, facts) => (facts.header('x-plan') === 'pro' ? pro : undefined),
      })
      expect(listOf(await get(), 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
      await get()
      expect((await get()).status).toBe(429)

      expect((await get({ 'x-plan': 'pro' })).status).toBe(200)
      await limiter.flush() // soft: what was counted by another plan is heard with the next sync
      const upgraded = await get({ 'x-plan': 'pro' })
      expect(upgraded.status).toBe(200)
      expect(listOf(upgraded, 'ratelimit-policy')).toEqual({ api: { q: 5, w: 60 } })
      expect(listOf(upgraded, 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
      expect(await (await get()).json()).toMatchObject({ 'violated-policies': ['api'] })
    },
  )

  test('waits for a plan that is looked up', async () => {
    const pro = fixedWindow({ limit: 5, window: '1m' })
    const { get } = await start({ limiter: limiterOf(2), plan: async () => pro, cost: 3 })
    expect(listOf(await get(), 'ratelimit')).toEqual({ api: { r: 2, t: 60 } })
  })

  describe.each(['hard', 'soft'] as const)('with a limiter of scopes (%s)', (mode) => {
    const window = '1m'
    const scoped = (user = 2, ip = 4) =>
      createLimiter({
        ...{ name: 'search', mode, clock: new ManualClock(0) },
        scopes: { user: fixedWindow({ limit: user, window }), ip: fixedWindow({ limit: ip, window }) },
      })
    const key = (_: unknown, facts: RequestFacts) => ({ user: facts.header('x-user'), ip: facts.address })

    test('takes a key for each, and leaves out those that a request has none for', async () => {
      const { get, handled } = await start({ limiter: scoped(), key })
      const eve = await get({ 'x-user': 'eve' })
      expect(listOf(eve, 'ratelimit-policy')).toEqual({ user: { q: 2, w: 60 }, ip: { q: 4, w: 60 } })
      expect(listOf(eve, 'ratelimit')).toEqual({ user: { r: 1, t: 60 }, ip: { r: 3, t: 60 } })
      await get({ 'x-user': 'eve' })
      const refused = await get({ 'x-user': 'eve' })
      expect(refused.status).toBe(429)
      expect(await refused.json()).toMatchObject({ 'violated-policies': ['user'] })
      expect(listOf(refused, 'ratelimit')).toEqual({ user: { r: 0, t: 60 }, ip: { r: 2, t: 60 } })

      expect(listOf(await get(), 'ratelimit')).toEqual({ ip: { r: 1, t: 60 } })
      expect(listOf(await get({ 'x-user': 'bob' }), 'ratelimit')).toEqual({
        user: { r: 1, t: 60 },
        ip: { r: 0, t: 60 },
      })
      expect((await get({ 'x-user': 'bob' })).status).toBe(429)
      expect(handled()).toBe(4)
    })

    test('takes keys that are too long, each with a quota of its own', async () => {
      const { get } = await start({ limiter: scoped(1), key })
      const enormous = 'k'.repeat(12_000)
      expect((await get({ 'x-user': enormous })).status).toBe(200)
      expect((await get({ 'x-user': enormous })).status).toBe(429)
      expect((await get({ 'x-user': `${enormous}k` })).status).toBe(200)
    })

    test('tells `onDenied` of the keys, and takes a plan for some of the scopes', async () => {
      const denied: Refusal[] = []
      const limiter = scoped(1)
      const plan = { user: fixedWindow({ limit: 5, window }) }
      const { get } = await start({
        ...{ limiter, key },
        plan: (_, facts) => (facts.header('x-plan') === 'pro' ? plan : undefined),
        onDenied: (refusal) => void denied.push(refusal),
      })
      await get({ 'x-user': 'eve' })
      expect((await get({ 'x-user': 'eve' })).status).toBe(429)
      expect(denied).toMatchObject([{ key: { user: 'eve', ip: '127.0.0.1' } }])
      const pro = { 'x-user': 'eve', 'x-plan': 'pro' }
      expect((await get(pro)).status).toBe(200)
      await limiter.flush()
      expect(listOf(await get(pro), 'ratelimit')).toEqual({ user: { r: 2, t: 60 }, ip: { r: 1, t: 60 } })
    })
  })

  test('takes the word of trusted proxies only', async () => {
    const limiter = limiterOf(100)
    const distrusting = await start({ limiter })
    await distrusting.get({ 'x-forwarded-for': '203.0.113.1' })
    await distrusting.get({ 'x-forwarded-for': '203.0.113.2' })
    expect((await limiter.peek('address:127.0.0.1')).remaining).toBe(97)

    const trusting = await start({ limiter, trustProxy: 1 })
    await trusting.get({ 'x-forwarded-for': '198.51.100.9, 203.0.113.1:5678' })
    expect((await limiter.peek('address:203.0.113.1')).remaining).toBe(98)
    expect((await limiter.peek('address:198.51.100.9')).remaining).toBe(99)
  })

  test('tells clients apart by their addresses, however these are written', async () => {
    const limiter = limiterOf(10)
    const { get } = await start({ limiter, trustProxy: ['127.0.0.0/8', '10.0.0.0/8'], ipv6Prefix: 56 })
    for (const address of [
      ...['2001:db8:0:11::1', '2001:DB8:0:0012:0::2', '[2001:db8:0:13::3]:443', '2001:db8:0:14::4%eth0'],
      ...['203.0.113.5', '::ffff:203.0.113.5', '203.0.113.5:8080', '203.0.113.5, 10.1.2.3'],
    ])
      expect((await get({ 'x-forwarded-for': address })).status).toBe(200)
    // What a check would leave of 10: one less than there is.
    expect((await limiter.peek('address:2001:db8::/56')).remaining).toBe(5)
    expect((await limiter.peek('address:203.0.113.5')).remaining).toBe(5)
  })

  test('tells of each limit of a limiter that has several', async () => {
    const limit = [fixedWindow({ limit: 3, window: '1s' }), fixedWindow({ limit: 1, window: '1m' })]
    const limiter = createLimiter({ name: 'api', clock: new ManualClock(0), limit })
    const { get } = await start({ limiter })
    expect(listOf(await get(), 'ratelimit')).toEqual({
      '3-per-1s': { r: 2, t: 1 },
      '1-per-1m': { r: 0, t: 60 },
    })
    const refused = await get()
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('60')
    expect(listOf(refused, 'ratelimit-policy')).toEqual({
      '3-per-1s': { q: 3, w: 1 },
      '1-per-1m': { q: 1, w: 60 },
    })
    expect(await refused.json()).toMatchObject({ 'violated-policies': ['1-per-1m'] })
  })

  test.each([
    ['soft', 0],
    ['leased', 1], // the first request of a client waits for quota
  ] as const)('runs the handler without a promise or a tick of its own in %s mode', async (mode, waiting) => {
    let ticked = true
    const during: boolean[] = []
    const { get } = await start(
      { limiter: limiterOf(1_000, 'api', mode) },
      {
        before: () => {
          ticked = false
          queueMicrotask(() => {
            ticked = true
          })
        },
        after: () => void during.push(ticked),
      },
    )
    for (let request = 0; request <= waiting; request++) expect((await get()).status).toBe(200)
    // Nest awaits middleware and guards itself: what the guard returns is tested beside it.
    expect(during.slice(waiting)).toEqual([name.startsWith('nest')])
  })

  describe("serves a leaky bucket's delay before the handler runs", () => {
    let paced: { clock: ManualClock; limiter: ReturnType<typeof pacedLimiter> }
    const pacedLimiter = () =>
      createLimiter({
        ...{ name: 'paced', clock: new ManualClock(0) },
        limit: leakyBucket({ capacity: 3, leak: 1, per: '10s' }),
      })
    beforeEach(() => {
      paced = { clock: new ManualClock(0), limiter: pacedLimiter() }
    })
    afterEach(() => paced.limiter.close())

    test('and not a moment later', async () => {
      const { clock, limiter } = paced
      const { get, handled } = await start({ limiter, clock, key: globally() })
      expect((await get()).status).toBe(200)
      const second = get()
      await until(() => clock.waiting === 1)
      await clock.advance(9_999)
      expect(handled()).toBe(1)
      await clock.advance(1)
      expect((await second).status).toBe(200)
      expect(handled()).toBe(2)
      expect(clock.waiting).toBe(0)
    })

    test('and frees the place of a client that hangs up', async () => {
      const { clock, limiter } = paced
      const { get, handled } = await start({ limiter, clock, key: globally() })
      await get()
      const hangingUp = new AbortController()
      const second = get({}, { signal: hangingUp.signal })
      await until(() => clock.waiting === 1)
      expect((await limiter.peek('global')).remaining).toBe(0)
      hangingUp.abort()
      await expect(second).rejects.toThrow('abort')
      await until(async () => (await limiter.peek('global')).remaining === 1)
      expect(clock.waiting).toBe(0)
      expect(handled()).toBe(1)
    })

    test('and does not wait for a client that hung up before', async () => {
      const { clock, limiter } = paced
      const lookups: (() => void)[] = []
      const { url, handled, server } = await start({
        ...{ limiter, clock },
        key: () => new Promise((resolve) => lookups.push(() => resolve('global'))),
      })
      await limiter.check('global')
      const client = connect(Number(new URL(url).port), '127.0.0.1')
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await until(() => lookups.length === 1)
      client.destroy()
      await until(async () => (await connectionsOf(server)) === 0)
      lookups[0]!()
      await until(() => limiter.stats().admitted === 2)
      await until(async () => (await limiter.peek('global')).remaining === 1)
      expect(clock.waiting).toBe(0)
      expect(handled()).toBe(0)
    })

    test('but not in a dry run', async () => {
      const { clock, limiter } = paced
      const { get } = await start({ limiter, clock, key: globally(), dryRun: true })
      await get()
      expect((await get()).status).toBe(200)
    })
  })

  if (hasRawResponse) {
    describe('where headers were sent before', () => {
      const before: Around['before'] = (raw) => raw?.writeHead(200).write('early ')

      // Nest itself answers nothing then, whatever the handler returns.
      if (!name.startsWith('nest')) {
        test('throws nothing at an allowed request', async () => {
          const { get } = await start({ limiter: limiterOf() }, { before })
          expect(await (await get()).text()).toBe(`early ${GREETING}`)
        })
      }

      test('throws nothing at a refused request, and adds nothing', async () => {
        const { get, handled } = await start({ limiter: limiterOf(1), cost: 2 }, { before })
        const response = await get()
        expect(response.status).toBe(200)
        expect(await response.text()).toBe('early ')
        expect(handled()).toBe(0)
      })
    })
  }

  describe('stands bad input', () => {
    test.each<[string, () => never | Promise<never>]>([
      [
        'throws',
        () => {
          throw new Error('no such user')
        },
      ],
      ['rejects', () => Promise.reject(new Error('no such user'))],
    ])("a key function that %s goes to the framework's error path", async (_, fail) => {
      const limiter = limiterOf(5)
      const { get, handled } = await start({
        limiter,
        key: (_, facts) => (facts.header('x-fail') ? fail() : 'fine'),
      })
      const response = await get({ 'x-fail': 'yes' })
      expect(response.status).toBe(500)
      expect(await response.text()).toContain(`${CAUGHT}no such user`)
      expect(handled()).toBe(0)
      expect(listOf(await get(), 'ratelimit')).toEqual({ api: { r: 4, t: 60 } })
    })

    // Express takes `next()` and `next('route')`, and Fastify its own, for "go on".
    test.each([undefined, null, 0, '', 'route', 'router'])(
      "a key function that fails with %j goes to the framework's error path",
      async (failure) => {
        const { get, handled } = await start({
          limiter: limiterOf(5),
          key(_, facts) {
            if (facts.header('x-fail') === 'at once') throw failure
            return Promise.reject(failure)
          },
        })
        for (const when of ['at once', 'later']) {
          const response = await get({ 'x-fail': when }, { signal: AbortSignal.timeout(10_000) })
          expect(response.status).toBe(500)
          expect(await response.text()).toContain(
            `${CAUGHT}a function of the rate limit's options failed with`,
          )
        }
        expect(handled()).toBe(0)
      },
    )

    test.each([
      [null, 'the key is null'],
      [42, 'the key is 42'],
      [{ user: 'eve' }, 'the key is an object'],
    ])('a key that is %o', async (key, message) => {
      const { get, handled } = await start({ limiter: limiterOf(), key: () => key as unknown as string })
      const response = await get()
      expect(response.status).toBe(500)
      expect(await response.text()).toContain(CAUGHT + message)
      expect(handled()).toBe(0)
    })

    test.each(['limiter', 'plan', 'cost', 'skip', 'onDenied', 'response'])(
      "a `%s` that throws goes to the framework's error path",
      async (option) => {
        const fail = () => {
          throw new Error('no such plan')
        }
        const limiter = limiterOf(1)
        const { get, handled } = await start({ limiter, key: globally(), [option]: fail })
        await limiter.check('global') // so that the first request is refused
        const response = await get()
        expect(response.status).toBe(500)
        expect(await response.text()).toContain(`${CAUGHT}no such plan`)
        expect(handled()).toBe(0)
      },
    )

    test('a limiter that was closed', async () => {
      const limiter = limiterOf()
      const { get, handled } = await start({ limiter })
      await limiter.close()
      const response = await get()
      expect(response.status).toBe(500)
      expect(await response.text()).toContain('is closed: create another one')
      expect(handled()).toBe(0)
    })

    test('a cost that is none', async () => {
      const { get } = await start({
        limiter: limiterOf(),
        cost: (_, facts) => Number(facts.header('x-cost')),
      })
      expect((await get({ 'x-cost': 'NaN' })).status).toBe(500)
      expect(listOf(await get({ 'x-cost': '1' }), 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
    })

    test('enormous and empty keys, each with a quota of its own', async () => {
      const { get } = await start({ limiter: limiterOf(), key: (_, facts) => facts.header('x-name') ?? '' })
      const enormous = 'k'.repeat(12_000)
      expect(listOf(await get({ 'x-name': enormous }), 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
      expect(listOf(await get({ 'x-name': enormous }), 'ratelimit')).toEqual({ api: { r: 0, t: 60 } })
      expect(listOf(await get({ 'x-name': `${enormous}k` }), 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
      expect(listOf(await get({}), 'ratelimit')).toEqual({ api: { r: 1, t: 60 } })
      expect(listOf(await get({}), 'ratelimit')).toEqual({ api: { r: 0, t: 60 } })
    })

    test('garbage in X-Forwarded-For counts as the proxy that sent it', async () => {
      const limiter = limiterOf(100)
      const { get } = await start({ limiter, trustProxy: 1 })
      for (const garbage of [
        'unknown',
        ',,,',
        '1.2.3',
        '::g',
        '0x7f.1',
        '"',
        '1.2.3.4, nonsense',
        'a'.repeat(8_000),
      ])
        expect((await get({ 'x-forwarded-for': garbage })).status).toBe(200)
      expect(limiter.stats()).toMatchObject({ checks: 8 })
      expect((await limiter.peek('address:127.0.0.1')).remaining).toBe(91)
    })

    test('API keys that are missing or hostile', async () => {
      const limiter = limiterOf(1)
      const { get } = await start({ limiter, key: byApiKey() })
      expect((await get()).headers.has('ratelimit')).toBe(false)
      for (const secret of [
        'global',
        'address:127.0.0.1',
        '|',
        '\\|',
        '__proto__',
        'sha256:x',
        '{}',
        '\u00ff',
      ]) {
        expect((await get({ 'x-api-key': secret })).status).toBe(200)
        expect((await get({ 'x-api-key': secret })).status).toBe(429)
      }
    })
  })
})
