import { expect, it } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, fixedWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

// A check that is given options, be it none, goes the long way.
it.each([
  ['short', undefined],
  ['long', {}],
])(
  '%s way: a check waits for what another one holds, also after checkSync was refused',
  async (_, options) => {
    const clock = new ManualClock(1_000_000)
    const store = slowStore(clock, () => 10)
    const window = (limit: number) => fixedWindow({ limit, window: '1m' })
    const make = () =>
      createLimiter({
        name: 'api',
        mode: 'leased',
        store,
        clock,
        random: () => 0.5,
        scopes: { user: window(10), ip: window(3) },
      })
    const [node, other] = [make(), make()]
    const until = async <T>(promise: Promise<T>) => {
      await clock.advance(200)
      return promise
    }
    await until(other.block({ user: 'blocked' }, '30s'))
    const key = { user: 'known', ip: 'shared' }
    for (let turn = 0; turn < 2; turn++) await until(node.check(key))
    await until(node.flush())
    // Holds the last of the address, until it has heard that the user is blocked.
    const first = node.check({ user: 'blocked', ip: 'shared' })
    await clock.advance(1)
    for (let turn = 0; turn < 3; turn++)
      expect(node.checkSync(key)).toMatchObject({ allowed: false, reason: 'limit', name: 'ip' })
    const second = options === undefined ? node.check(key) : node.check(key, options)
    expect(await until(first)).toMatchObject({ allowed: false, reason: 'blocked', name: 'user' })
    expect(await until(second)).toMatchObject({ allowed: true })
    await until(Promise.all([node.close(), other.close()]))
  },
)
