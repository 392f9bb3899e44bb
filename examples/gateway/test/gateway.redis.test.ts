import { createLimiter, slidingLog } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { parseList } from 'structured-headers'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { type Asked, softBound } from '../src/bound.ts'
import { Client, type Seen } from '../src/client.ts'
import { FRAMEWORKS, type Gateway, startGateway } from '../src/gateway.ts'
import { LIMIT, limiterName, MODES, SYNC_INTERVAL_MS } from '../src/limits.ts'

const RATE = 120
const DURATION_MS = 3_000
/** The interval, and what a busy machine may add in round trips and delays of an event loop. */
const STALENESS_MS = 10 * SYNC_INTERVAL_MS
/** Modes that never pass the limit. */
const EXACT: readonly string[] = ['hard', 'leased']
/** Modes whose nodes hold quota that they booked: what they have not used may stay with them, and goes with a killed one. */
const BOOKING: readonly string[] = ['leased']
const leastAdmitted = (mode: string) => (BOOKING.includes(mode) ? LIMIT.limit / 2 : LIMIT.limit)

let gateway: Gateway
beforeAll(async () => {
  gateway = await startGateway()
}, 300_000) // it may have to install nginx first
afterAll(() => gateway?.[Symbol.asyncDispose]())

const allowed = (seen: readonly Seen[]) => seen.filter(({ status }) => status === 200)

/** Which process answered; `restartedAt`: from when on the first gateway is another process. */
function askedOf(seen: readonly Seen[], restartedAt = Infinity): Asked[] {
  return seen.map(({ answeredAt, headers }) => {
    const name = String(headers['x-served-by'])
    const isSecond = name === FRAMEWORKS[0] && answeredAt >= restartedAt
    return { at: answeredAt, node: isSecond ? `${name}, restarted` : name }
  })
}

/** What the store knows to be used of a client's quota. */
async function counted(mode: string, client: Client): Promise<number> {
  const store = redisStore(gateway.redisUrl)
  const limit = slidingLog({ limit: 1_000_000, window: LIMIT.window })
  const reader = createLimiter({ name: limiterName(mode as 'hard'), limit, store, timeout: '2s' })
  const { remaining } = await reader.peek(`address:${client.address}`)
  await reader.close()
  await store.close()
  return 1_000_000 - 1 - remaining
}

/** @param finished the test's own: of tests that run at the same time, the module's is that of any */
function clientAt(address: string, finished: TestContext['onTestFinished']): Client {
  const client = new Client(address)
  finished(() => client.close())
  return client
}

describe.concurrent.each(MODES)('%s', (mode) => {
  const number = MODES.indexOf(mode)

  test('keeps to its bound over four gateways, and refuses well', async ({ expect, onTestFinished }) => {
    const client = clientAt(`127.0.1.${number + 1}`, onTestFinished)
    const other = clientAt(`127.0.2.${number + 1}`, onTestFinished)
    const path = `/${mode}`
    const before = gateway.backend.served.get(path) ?? 0
    const seen = await client.load(gateway.url + path, RATE, DURATION_MS)

    expect(new Set(seen.map(({ headers }) => headers['x-served-by']))).toEqual(new Set(FRAMEWORKS))
    expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([200, 429]))
    const admitted = allowed(seen).length
    expect(admitted).toBeGreaterThanOrEqual(leastAdmitted(mode))
    expect(admitted).toBeLessThanOrEqual(
      EXACT.includes(mode) ? LIMIT.limit : softBound(askedOf(seen), STALENESS_MS),
    )
    expect(gateway.backend.served.get(path)! - before).toBe(admitted)
    for (const { status, headers, body } of seen) wellFormed(expect, mode, status, headers, body)

    // Nobody else's quota was touched, though the client claimed another address each time.
    const { headers } = await other.request(gateway.url + path)
    expect(parseList(String(headers.ratelimit))[0]![1].get('r')).toBe(LIMIT.limit - 1)
  })
})

function wellFormed(
  expect: typeof import('vitest').expect,
  mode: string,
  status: number,
  headers: Seen['headers'],
  body: string,
): void {
  const [[name, { q, w }]] = members(headers['ratelimit-policy'])
  expect({ name, q, w }).toEqual({
    name: limiterName(mode as 'hard'),
    q: LIMIT.limit,
    w: LIMIT.window / 1000,
  })
  const [[, { r, t }]] = members(headers.ratelimit)
  expect(r).toBeGreaterThanOrEqual(0)
  expect(r).toBeLessThan(LIMIT.limit)
  expect(t).toBeGreaterThan(0)
  expect(t).toBeLessThanOrEqual(LIMIT.window / 1000)
  if (status === 200) {
    expect(body).toBe(`served /${mode}`)
    return
  }
  expect(headers['retry-after']).toBe(String(t))
  expect(headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(JSON.parse(body)).toMatchObject({ status: 429, 'violated-policies': [limiterName(mode as 'hard')] })
}

function members(header: unknown): [[string, Record<string, number>]] {
  return parseList(String(header)).map(([item, parameters]) => [
    item,
    Object.fromEntries(parameters),
  ]) as never
}

test('a gateway that is killed and started again under load loses nothing it should not', async ({
  onTestFinished,
}) => {
  const victim = gateway.nodes[0]!
  const clients = MODES.map((_, number) => clientAt(`127.0.3.${number + 1}`, onTestFinished))
  let restartedAt = Infinity
  const sawItBack = (seen: readonly Seen[]) =>
    askedOf(seen, restartedAt).some(({ node }) => node.endsWith('restarted'))
  const loads = Promise.all(
    MODES.map((mode, number) =>
      clients[number]!.load(`${gateway.url}/${mode}`, RATE / 2, 2 * DURATION_MS, sawItBack),
    ),
  )
  await new Promise((resolve) => setTimeout(resolve, DURATION_MS / 2))
  const killedAt = performance.now()
  await victim.close()
  const diedAt = performance.now()
  await victim.start()
  restartedAt = performance.now()
  const results = await loads

  for (const [number, mode] of MODES.entries()) {
    const seen = results[number]!
    // nginx asks another gateway where one dies over a request: no client sees it.
    expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([200, 429]))
    for (const { status, headers, body } of seen) wellFormed(expect, mode, status, headers, body)
    const admitted = allowed(seen).length
    const bound = EXACT.includes(mode) ? LIMIT.limit : softBound(askedOf(seen, restartedAt), STALENESS_MS)
    expect(admitted).toBeLessThanOrEqual(bound)

    // What the victim had admitted and not settled when it died is all that the store may not know of.
    const unsettled = seen.filter(
      ({ answeredAt, headers }) =>
        headers['x-served-by'] === victim.framework &&
        answeredAt <= diedAt &&
        answeredAt > killedAt - STALENESS_MS,
    )
    const mayBeLost = EXACT.includes(mode) ? 0 : unsettled.length
    const known = await counted(mode, clients[number]!)
    expect(known).toBeGreaterThanOrEqual(admitted - mayBeLost)
    // What was taken for requests that died with it, at most those in flight, is spent: never given out twice.
    expect(admitted).toBeGreaterThanOrEqual(leastAdmitted(mode) - inFlight(seen, killedAt, diedAt))
  }
})

/** How many were asked at some moment between the two: a killed process still takes requests until it is gone. */
function inFlight(seen: readonly Seen[], from: number, to: number): number {
  return seen.filter(({ sentAt, answeredAt }) => sentAt <= to && answeredAt >= from).length
}
