import { expect, it } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, fixedWindow, memoryStore, type Store, slidingLog } from '../index.ts'
import type { Table } from '../store/store.ts'
import { ManualClock } from '../testing.ts'

it('what thousands of checks took of a log that another limit refuses does not go back in one command, which would hold the server', async () => {
  const clock = new ManualClock(1_000_000)
  const [near, far] = [memoryStore({ clock }), slowStore(clock, () => 1)]
  let most = 0
  const store: Store = {
    open: (name, ...more) => {
      const table = (name.endsWith('ip') ? far : near).open(name, ...more)
      const exchange: Table['exchange'] = (request) => {
        const back = request.operations.filter(([what]) => what === 'refund')
        most = Math.max(most, back.length)
        return table.exchange(request)
      }
      // Of no place: they can't be asked together.
      return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
    },
    close: () => near.close(),
  }
  const scopes = {
    user: fixedWindow({ limit: 1, window: '1h' }),
    ip: slidingLog({ limit: 10_000, window: '1h' }),
  }
  const limiter = createLimiter({ name: 'api', scopes, store, clock, random: () => 0.5 })
  const checks = Promise.all(Array.from({ length: 2000 }, () => limiter.check({ user: 'a', ip: 'b' })))
  await clock.advance(5000)
  expect((await checks).filter(({ allowed }) => allowed)).toHaveLength(1)
  const peek = limiter.peek({ user: 'c', ip: 'b' })
  await clock.advance(100)
  expect((await peek).parts?.[1]).toMatchObject({ remaining: 10_000 - 2 })
  expect(most).toBeLessThan(10)
  await limiter.close()
})
