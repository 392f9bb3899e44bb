import { expect, it } from 'vitest'
import { ConfigError, createLimiter, fixedWindow, leakyBucket, type ScopeKeys } from './index.ts'

// What TypeScript refuses; `npm test` compiles it. JavaScript is told at run time.

const limit = fixedWindow({ limit: 5, window: '1m' })
const badly = (make: () => unknown) => expect(make).toThrow(ConfigError)

it('a limiter of scopes takes keys and plans of its own scopes only', async () => {
  const limiter = createLimiter({ name: 'api', scopes: { user: limit, ip: limit } })
  const refuses = async (answer: Promise<unknown>, code: string) =>
    expect(answer).rejects.toMatchObject({ code })
  // @ts-expect-error: there is no such scope
  await refuses(limiter.check({ usr: 'eve' }), 'ERR_KEY')
  // @ts-expect-error: it has a key for each scope
  await refuses(limiter.check('eve'), 'ERR_KEY')
  // @ts-expect-error: a plan is of the same scopes
  await refuses(limiter.check({ user: 'eve' }, { limit: { usr: limit } }), 'ERR_MISMATCH')
  // @ts-expect-error: so is a limit that is set
  await refuses(limiter.setLimit({ usr: limit }), 'ERR_MISMATCH')
  expect(await limiter.check({ user: 'eve' }, { limit: { user: limit } })).toMatchObject({ allowed: true })
})

it('with scopes, lists are functions of them, and there is no spike', () => {
  const scoped = { name: 'api', scopes: { user: limit } }
  createLimiter({ ...scoped, allow: ({ user }) => user === 'root' })
  // @ts-expect-error: no two objects are the same key
  badly(() => createLimiter({ ...scoped, allow: ['root'] }))
  // @ts-expect-error: it must answer at once
  createLimiter({ ...scoped, deny: async ({ user }) => user === 'eve' })
  // @ts-expect-error: `scopes` alone tells which scopes there are
  createLimiter({ ...scoped, allow: ({ ip }: ScopeKeys<'ip'>) => ip === '192.0.2.1' })
  // @ts-expect-error: several keys have no reserve
  badly(() => createLimiter({ ...scoped, spike: { extra: 5, per: '1h' } }))
})

it('options, events and numbers are known by their names', async () => {
  // @ts-expect-error: there is no such mode
  badly(() => createLimiter({ name: 'api', limit, mode: 'exact' }))
  // @ts-expect-error: what leaks is not refilled
  badly(() => leakyBucket({ capacity: 5, refill: 1, per: '1s' }))
  const limiter = createLimiter({ name: 'api', limit })
  // @ts-expect-error: there is no such event
  badly(() => limiter.on('away', () => {}))
  // @ts-expect-error: there is no such option
  await expect(limiter.check('eve', { cots: 5 })).rejects.toMatchObject({ code: 'ERR_OPTION' })
})
