import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { expect, onTestFinished, test } from 'vitest'
import { pipelined } from './pipelined.ts'
import { SERVERS } from './servers/index.ts'

const TEN_THOUSAND = 10_000

const limiterOf = (limit: number, maxKeys?: number) =>
  createLimiter({
    name: 'api',
    mode: 'soft',
    maxKeys,
    clock: new ManualClock(0),
    limit: fixedWindow({ limit, window: '1h' }),
  })

/** As many different addresses as there are places, all outside the trusted ones. */
const addresses = Array.from({ length: TEN_THOUSAND }, (_, place) => `203.${place >> 8}.${place & 255}.7`)

const countOf = (statuses: number[], status: number) => statuses.filter((each) => each === status).length

test('ten thousand spoofed addresses are one client where no proxy is trusted', async () => {
  const limiter = limiterOf(5)
  const served = await SERVERS.node!({ limiter })
  onTestFinished(() => served.close())
  const statuses = await pipelined(
    served.url,
    addresses.map((address) => ({ 'x-forwarded-for': address, forwarded: `for=${address}` })),
  )
  expect([statuses.length, countOf(statuses, 200), countOf(statuses, 429)]).toEqual([TEN_THOUSAND, 5, 9_995])
  expect(limiter.stats().keys).toBe(1)
})

test('ten thousand addresses put before the real one spend the real one', async () => {
  const limiter = limiterOf(5)
  const served = await SERVERS.node!({ limiter, trustProxy: 1 })
  onTestFinished(() => served.close())
  const statuses = await pipelined(
    served.url,
    addresses.map((address) => ({ 'x-forwarded-for': `${address}, 198.51.100.1` })),
  )
  expect([countOf(statuses, 200), countOf(statuses, 429)]).toEqual([5, 9_995])
  expect(limiter.checkSync('address:203.0.0.7').remaining).toBe(4)
})

test('ten thousand real clients are held in no more RAM than was said', async () => {
  const limiter = limiterOf(5, 1_000)
  const served = await SERVERS.node!({ limiter, trustProxy: 1 })
  onTestFinished(() => served.close())
  const refused = { 'x-forwarded-for': '198.51.100.1' }
  expect(await pipelined(served.url, Array(6).fill(refused))).toEqual([...Array(5).fill(200), 429])
  const statuses = await pipelined(
    served.url,
    addresses.map((address) => ({ 'x-forwarded-for': address })),
  )
  expect(countOf(statuses, 200)).toBe(TEN_THOUSAND)
  expect(limiter.stats().keys).toBeLessThanOrEqual(1_000)
  expect(await pipelined(served.url, [refused])).toEqual([429]) // many others do not buy it a fresh quota
})

test.each(Object.entries(SERVERS))(
  '%s knows clients by their connection, whatever they claim',
  async (_, serve) => {
    const limiter = limiterOf(5)
    const served = await serve({ limiter })
    onTestFinished(() => served.close())
    const claims = addresses.slice(0, 200).map((address) => ({
      ...{
        'x-forwarded-for': address,
        'x-real-ip': address,
        forwarded: `for=${address}`,
        'cf-connecting-ip': address,
      },
      ...{ 'x-client-ip': address, 'true-client-ip': address, 'x-forwarded': address },
    }))
    const statuses = await pipelined(served.url, claims)
    expect([countOf(statuses, 200), countOf(statuses, 429)]).toEqual([5, 195])
  },
)
