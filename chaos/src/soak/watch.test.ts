import { expect, test } from 'vitest'
import type { NodeProcess } from '../node-process.ts'
import { tracks } from '../tracks.ts'
import { Watch } from './watch.ts'

const load = { steadyRate: 1, steadyKeys: 1, steadyFor: 1e9, hotRate: 1, hotCost: 1, hotFor: 1e9 }

/** What the watch makes of a store in which each key it asks for has this. */
async function seen(counted: number, booked: number) {
  const auditor: Pick<NodeProcess, 'audit'> = {
    audit: async ({ limiters }) =>
      Object.fromEntries(
        limiters.map(({ name, keys }) => [
          name,
          Object.fromEntries(keys.map((key) => [key, { counted, booked }])),
        ]),
      ),
  }
  const target = { how: 'redis', client: 'ioredis' } as const
  const watch = new Watch({ auditor: auditor as NodeProcess, target, run: 'test', tracks, load })
  return watch.end()
}

test('what is above its bound in the store, counted and booked together, does not hold', async () => {
  expect(await seen(600, 400)).toMatchObject({ holds: true })
  const above = await seen(600, 401)
  expect(above.holds).toBe(false)
  expect(above.detail).toMatch('leased deny')
  // Its bound is 1,050.
  expect(above.detail).not.toMatch('capped deny')
})
