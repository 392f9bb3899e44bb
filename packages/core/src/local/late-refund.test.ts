import { expect, it } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { takeAll } from '../../test/take-all.ts'
import { createLimiter, fixedWindow, type Mode, memoryStore, slidingLog, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMITS = {
  'fixed window': fixedWindow({ limit: 100, window: '10s' }),
  'sliding window': slidingWindow({ limit: 100, window: '10s' }),
  'sliding log': slidingLog({ limit: 100, window: '10s' }),
}

/** A node whose commands may take a while, there and back, and another one beside it. */
function world(limit: (typeof LIMITS)[keyof typeof LIMITS], mode: Mode) {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  const way = { delay: 0 }
  const far = slowStore(clock, () => way.delay, undefined, store)
  const options = { name: 'api', limit, clock, random: () => 0.5, maxKeys: 16, timeout: '500ms' } as const
  const node = createLimiter({ ...options, mode, store: far })
  return { clock, way, node, other: createLimiter({ ...options, store }) }
}

it.each(
  (['leased', 'soft'] as const).flatMap((mode) =>
    Object.entries(LIMITS).flatMap(([name, limit]) =>
      [false, true].map((isHeld) => [mode, name, isHeld ? 'in RAM' : 'pushed out of RAM', limit] as const),
    ),
  ),
)('%s: what goes back as its %s ends is not taken out of the next one, of a key %s', async (...its) => {
  const [mode, name, where, limit] = its
  const { clock, way, node, other } = world(limit, mode)
  const call = await node.reserve('key', 50, { settleAfter: '1h' })
  expect(call.allowed).toBe(true)
  await node.flush()
  if (where !== 'in RAM') for (let place = 0; place < 100; place++) await node.check(`key-${place}`)
  await node.flush()
  const isSliding = name === 'sliding window'
  await clock.advance(isSliding ? 19_900 : 9900)
  if (isSliding) expect((await other.check('key', { cost: 75 })).allowed).toBe(true)
  await clock.advance(70)
  way.delay = 50
  const released = call.release()
  await clock.advance(40)
  const taken = await takeAll(other, 'key')
  await clock.advance(1000)
  await released
  await clock.advance(2000)
  const rest = await takeAll(other, 'key')
  // Of a sliding window a third of the 75 is free by then.
  expect(taken + rest).toBeLessThanOrEqual(isSliding ? 25 + 25 : 100)
  const closed = Promise.all([node.close(), other.close()])
  await clock.advance(5000)
  await closed
})

it('hard: of a log nothing goes back that has grown old on its way', async () => {
  const { clock, way, node, other } = world(LIMITS['sliding log'], 'hard')
  const call = await node.reserve('key', 50, { settleAfter: '1h' })
  await clock.advance(9970)
  way.delay = 50
  const released = call.release()
  await clock.advance(35)
  const taken = await takeAll(other, 'key')
  await clock.advance(100)
  await released
  expect(taken + (await takeAll(other, 'key'))).toBe(100)
})

it.each(['soft', 'leased', 'hard'] as const)(
  '%s: of a log goes back what was reserved, not what others took after it',
  async (mode) => {
    const { clock, node, other } = world(LIMITS['sliding log'], mode)
    const call = await node.reserve('key', 30, { settleAfter: '1h' })
    await node.flush()
    await clock.advance(4000)
    expect(await takeAll(other, 'key')).toBe(70)
    await clock.advance(1000)
    expect(await call.release()).toBe(true)
    expect(await takeAll(other, 'key')).toBe(30)
    // What was reserved would have grown old by now: the 70 and the 30 count still.
    await clock.advance(5500)
    expect(await takeAll(other, 'key')).toBe(0)
    await clock.advance(4000)
    expect(await takeAll(other, 'key')).toBe(70)
    await Promise.all([node.close(), other.close()])
  },
)
