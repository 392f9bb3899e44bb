import { expect, it } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, fixedWindow, memoryStore } from '../index.ts'
import { ManualClock } from '../testing.ts'

it('of a key that was pushed out of RAM and reset, nothing goes back of what was admitted since it came back unheard', async () => {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  let delay = 0
  const limit = fixedWindow({ limit: 100, window: '1000s' })
  const options = { name: 'api', limit, clock, random: () => 0.5, maxKeys: 16 } as const
  const node = createLimiter({
    ...options,
    mode: 'soft',
    store: slowStore(clock, () => delay, undefined, store),
  })
  const other = createLimiter({ ...options, store })
  const call = await node.reserve('key', 50, { settleAfter: '1h' })
  await node.flush()
  for (let place = 0; place < 100; place++) await node.check(`key-${place}`)
  await node.flush()
  await clock.advance(10)
  expect(await other.reset('key')).toBe(true)
  await clock.advance(10)
  delay = 150
  for (let times = 0; times < 50; times++) expect(node.checkSync('key').allowed).toBe(true)
  const released = call.release()
  await clock.advance(2000)
  expect(await released).toBe(false)
  delay = 0
  await clock.advance(10_000)
  await node.flush()
  // As a check of 1 would leave it.
  expect((await other.peek('key')).remaining).toBe(49)
  const closed = Promise.all([node.close(), other.close()])
  await clock.advance(2000)
  await closed
})
