import { describe, expect, it } from 'vitest'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import type { ConfigError } from './errors.ts'
import { createLimiter } from './limiter.ts'

const limit = fixedWindow({ limit: 1, window: '1d' })

describe.each(['allow', 'deny'] as const)('%s', (list) => {
  it('takes an array as it was, and asks a set and a function anew', async () => {
    const array = ['a']
    const set = new Set(['a'])
    const lists = [array, set, (key: string) => set.has(key)]
    const limiters = lists.map((its) => createLimiter({ name: 'api', limit, [list]: its }))
    array.push('b')
    set.add('b')
    const listed = (key: string) =>
      Promise.all(
        limiters.map(async (limiter) => {
          const { remaining, reason } = await limiter.check(key)
          return list === 'allow' ? remaining === 1 : reason === 'blocked'
        }),
      )
    expect(await listed('a')).toEqual([true, true, true])
    expect(await listed('b')).toEqual([false, true, true])
    expect(await listed('c')).toEqual([false, false, false])
  })

  it('asks once a call, whichever call it is', async () => {
    const asked: string[] = []
    const limiter = createLimiter({ name: 'api', limit, [list]: (key: string) => asked.push(key) < 0 })
    await limiter.check('check')
    await limiter.peek('peek')
    await limiter.reserve('reserve', 1)
    await limiter.acquire('acquire')
    expect(asked).toEqual(['check', 'peek', 'reserve', 'acquire'])
  })

  it('refuses an answer that is no boolean: a promise would be on any list', async () => {
    const limiter = createLimiter({ name: 'api', limit, [list]: async () => false })
    await expect(limiter.check('a')).rejects.toMatchObject({
      code: 'ERR_OPTION',
    } satisfies Partial<ConfigError>)
  })

  it('refuses keys of scopes: no two objects are the same key', () => {
    for (const keys of [[{ user: '42' }], new Set([{ user: '42' }]), ['42']])
      expect(() => createLimiter({ name: 'api', scopes: { user: limit }, [list]: keys })).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION' }),
      )
  })
})
