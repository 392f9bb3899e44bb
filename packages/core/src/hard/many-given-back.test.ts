import { expect, it } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, fixedWindow, type Limits, memoryStore, type Store, slidingLog } from '../index.ts'
import type { Table } from '../store/store.ts'
import { ManualClock } from '../testing.ts'

/** Scopes of two stores, of which that of `ip` is slow: what a check takes there goes back where `user` refuses. */
function apart(ip: Limits, ms: number) {
  const clock = new ManualClock(1_000_000)
  const [near, far] = [memoryStore({ clock }), slowStore(clock, () => ms)]
  /** How much the refunds of each command give back. */
  const commands: number[][] = []
  const store: Store = {
    open: (name, ...more) => {
      const table = (name.endsWith('ip') ? far : near).open(name, ...more)
      const exchange: Table['exchange'] = (request) => {
        const costs = request.operations.flatMap((its) => (its[0] === 'refund' ? [its[2]] : []))
        if (costs.length > 0) commands.push(costs)
        return table.exchange(request)
      }
      // Of no place: they can't be asked together.
      return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
    },
    close: () => near.close(),
  }
  const scopes = { user: fixedWindow({ limit: 1, window: '1h' }), ip }
  const limiter = createLimiter({ name: 'api', scopes, store, clock, random: () => 0.5 })
  const leftOf = async (ip: string) => {
    const peek = limiter.peek({ ip })
    await clock.advance(100)
    return (await peek).remaining
  }
  return { clock, limiter, commands, leftOf }
}

it('what thousands of checks took of a log that another limit refuses goes back in a few operations, one to a command', async () => {
  const { clock, limiter, commands, leftOf } = apart(slidingLog({ limit: 10_000, window: '1h' }), 1)
  const checks = Promise.all(Array.from({ length: 2000 }, () => limiter.check({ user: 'a', ip: 'b' })))
  await clock.advance(1000)
  expect((await checks).filter(({ allowed }) => allowed)).toHaveLength(1)
  expect(await leftOf('b')).toBe(10_000 - 2)
  expect(commands.every((costs) => costs.length === 1)).toBe(true)
  // The first of them leave at once.
  expect(commands.length).toBeLessThan(10)
  await limiter.close()
})

/** So many addresses of which something waits to go back. */
async function givingBack(ip: Limits, addresses: number) {
  const its = apart(ip, 20)
  const { clock, limiter } = its
  const checks = Array.from({ length: addresses }, (_, n) => limiter.check({ user: 'a', ip: `ip${n}` }))
  await clock.advance(40)
  expect((await Promise.all(checks)).filter(({ allowed }) => allowed)).toHaveLength(1)
  return its
}

it('a block waits for what is under way, and not for all that is to go back', async () => {
  const { clock, limiter, commands } = await givingBack(slidingLog({ limit: 10, window: '1h' }), 500)
  const block = limiter.block({ ip: 'thief' }, '1h')
  await clock.advance(90)
  expect(await block).toBe(true)
  expect(commands.length).toBeLessThan(20)
  const refused = limiter.check({ ip: 'thief' })
  await clock.advance(40)
  expect(await refused).toMatchObject({ allowed: false, reason: 'blocked' })
  // In their turns the rest goes back, also while others are charged.
  const told: Promise<boolean>[] = []
  for (let n = 0; n < 1000; n++) {
    told.push(limiter.penalty({ ip: 'another' }))
    await clock.advance(10)
  }
  expect(commands.length).toBe(499)
  await clock.advance(10_000)
  expect((await Promise.all(told)).every((is) => is)).toBe(true)
  await limiter.close()
})

it('what goes back of a key does before what was asked of the key later', async () => {
  const { clock, limiter, leftOf } = await givingBack(slidingLog({ limit: 10, window: '1h' }), 500)
  const told = Promise.all([limiter.refund({ ip: 'ip400' }, 5), limiter.penalty({ ip: 'ip400' }, 3)])
  await clock.advance(200)
  expect(await told).toEqual([true, true])
  expect(await leftOf('ip400')).toBe(10 - 3 - 1)
  await clock.advance(10_000)
  expect(await leftOf('ip400')).toBe(10 - 3 - 1)
  await limiter.close()
})
