import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byAddress, byApiKey, byRoute, byUser, combine, firstOf, globally, type KeyOf } from './keys.ts'
import type { RequestFacts } from './request-facts.ts'

interface Request {
  user?: string | number | null
}

function factsOf(known: Partial<RequestFacts> & { headers?: Record<string, string> } = {}): RequestFacts {
  const { headers = {}, ...rest } = known
  const client = { address: '192.0.2.1', addressKey: 'address:192.0.2.1' }
  return { ...client, method: 'GET', route: undefined, header: (name) => headers[name], ...rest }
}

const keyOf = (key: KeyOf<Request>, request: Request = {}, facts = factsOf()) => key(request, facts)

it('takes the address, the user, or all together', async () => {
  expect(keyOf(byAddress())).toBe('address:192.0.2.1')
  expect(keyOf(globally())).toBe('global')
  expect(
    keyOf(
      byUser<Request>(({ user }) => user),
      { user: 42 },
    ),
  ).toBe('user:42')
  expect(keyOf(byUser(() => ''))).toBeUndefined()
  expect(keyOf(byUser<Request>(({ user }) => user))).toBeUndefined()
  expect(
    keyOf(
      byUser<Request>(({ user }) => user),
      { user: null },
    ),
  ).toBeUndefined()
  expect(
    await keyOf(
      byUser<Request>(async ({ user }) => user),
      { user: 'eve' },
    ),
  ).toBe('user:eve')
})

it('takes an API key, which it does not give away', () => {
  const headers = { 'x-api-key': 'secret', authorization: 'Bearer other' }
  const first = keyOf(byApiKey(), {}, factsOf({ headers })) as string
  const other = keyOf(byApiKey('authorization'), {}, factsOf({ headers })) as string
  expect(first).toMatch(/^api-key:[\w-]{43}$/)
  expect(first).not.toBe(other)
  expect(keyOf(byApiKey(), {}, factsOf({ headers: { 'x-api-key': '' } }))).toBeUndefined()
  expect(keyOf(byApiKey())).toBeUndefined()
})

describe('byRoute', () => {
  it('takes method and pattern, with HEAD as GET', () => {
    expect(keyOf(byRoute(), {}, factsOf({ route: '/users/:id', method: 'POST' }))).toBe(
      'route:POST /users/:id',
    )
    expect(keyOf(byRoute(), {}, factsOf({ route: '/users/:id', method: 'HEAD' }))).toBe(
      'route:GET /users/:id',
    )
    expect(keyOf(byRoute(() => 'search'))).toBe('route:search')
  })

  it('says what to do where the route is not known', () => {
    expect(() => keyOf(byRoute())).toThrow('put the limit on the route itself, or give byRoute a function')
  })
})

describe('combine', () => {
  it('is undefined where a part is', async () => {
    const user = byUser<Request>(async ({ user }) => user)
    expect(await keyOf(combine(user, byAddress()))).toBeUndefined()
    expect(await keyOf(combine(user, byAddress()), { user: 1 })).toBe('user:1|address:192.0.2.1')
  })

  it('never makes one key of two', () => {
    const fixed = (part: string) => () => part
    const part = fc.string({ unit: fc.constantFrom('a', '|', '\\') })
    const parts = fc.array(part, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(parts, parts, (some, others) => {
        const same = keyOf(combine(...some.map(fixed))) === keyOf(combine(...others.map(fixed)))
        expect(same).toBe(JSON.stringify(some) === JSON.stringify(others))
      }),
      {
        examples: [
          [['a|a'], ['a', 'a']],
          [['a\\', 'a'], ['a\\|a']],
        ],
      },
    )
  })
})

/** A wrong answer would be one key for all, or none. */
it.each<[string, () => unknown, string]>([
  [
    'an object',
    () => keyOf(byUser(() => ({ id: 1 }) as unknown as string)),
    'byUser: what the function returned is {',
  ],
  ['NaN', () => keyOf(byUser(() => Number.NaN)), 'byUser: what the function returned is NaN'],
  ['a symbol', () => keyOf(byUser(() => Symbol('a') as unknown as string)), 'is Symbol(a): give'],
  [
    'no name of a route',
    () => keyOf(byRoute(() => undefined as unknown as string)),
    'byRoute: what the function returned is undefined: give the name of a route',
  ],
  [
    'a number to combine',
    () => keyOf(combine(byAddress(), () => 5 as unknown as string)),
    "combine: a part's key is 5: give a string, or undefined",
  ],
  ['null to combine', () => keyOf(combine(() => null as unknown as string)), "combine: a part's key is null"],
])('refuses %s where a function of the request returns it', (_, key, message) => {
  expect(key).toThrow(
    expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(message) }),
  )
})

it('takes a bigint for a user', () => {
  expect(keyOf(byUser(() => 2n ** 60n))).toBe('user:1152921504606846976')
})

it('firstOf falls back', async () => {
  const key = firstOf<Request>(
    byUser(async ({ user }) => user),
    byAddress(),
  )
  expect(await keyOf(key, { user: 7 })).toBe('user:7')
  expect(await keyOf(key)).toBe('address:192.0.2.1')
  expect(await keyOf(key, { user: null })).toBe('address:192.0.2.1')
  expect(await keyOf(firstOf(byUser<Request>(({ user }) => user)))).toBeUndefined()
})

it.each<[string, () => unknown]>([
  ['combine', () => combine()],
  ['firstOf', () => firstOf('user' as unknown as KeyOf)],
  ['firstOf', () => firstOf(undefined as unknown as KeyOf, byAddress())],
  ['combine', () => combine(byAddress(), undefined as unknown as KeyOf, () => 'a')],
  ['byUser', () => byUser(42 as unknown as () => string)],
  ['byRoute', () => byRoute('login' as unknown as () => string)],
  ['byRoute', () => byRoute(null as unknown as () => string)],
  ['byApiKey', () => byApiKey(5 as unknown as string)],
  ['byApiKey', () => byApiKey('')],
  ['byApiKey', () => byApiKey('x api key')],
])('%s refuses what is no function', (name, make) => {
  expect(make).toThrow(
    expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(name) }),
  )
})
