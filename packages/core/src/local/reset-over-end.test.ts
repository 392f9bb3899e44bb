import { expect, test } from 'vitest'
import { slowStore } from '../../test/slow-store.ts'
import { createLimiter, fixedWindow, memoryStore, slidingLog, slidingWindow, tokenBucket } from '../index.ts'
import { ManualClock } from '../testing.ts'

test.each([
  ['fixed window', fixedWindow({ limit: 100, window: '10s' })],
  ['sliding window', slidingWindow({ limit: 100, window: '10s' })],
  ['sliding log', slidingLog({ limit: 100, window: '10s' })],
  ['token bucket', tokenBucket({ capacity: 100, refill: 1, per: '1s' })],
])(
  'what was admitted after a window ended is counted, where the answer that tells of a reset came over its end: %s',
  async (_, limit) => {
    const clock = new ManualClock(1_000_000)
    let back = 0
    const memory = memoryStore({ clock })
    const store = slowStore(
      clock,
      () => 0,
      () => back,
      memory,
    )
    const options = { name: 'api', limit, clock, random: () => 0.5 } as const
    const soft = createLimiter({ ...options, mode: 'soft', store })
    const hard = createLimiter({ ...options, store: memory })
    await soft.check('key')
    const end = (Math.floor(clock.wall() / limit.window) + 1) * limit.window
    await clock.advance(end - clock.wall() - 600)
    await soft.check('key')
    await clock.advance(590)
    await hard.reset('key')
    await soft.checkSync('key')
    back = 60
    const flushed = soft.flush()
    await clock.advance(20)
    let admitted = 0
    while (admitted < 90 && soft.checkSync('key').allowed) admitted++
    await clock.advance(100)
    back = 0
    await flushed
    while (soft.checkSync('key').allowed) admitted++
    await soft.flush()
    const { remaining } = await hard.peek('key')
    expect({ admitted, counted: 100 - remaining }).toEqual({ admitted, counted: admitted })
    expect(admitted).toBeLessThanOrEqual(100)
    await soft.close()
    await hard.close()
  },
)

test('a node that resets its key itself stays within the limit, where an answer comes over the end of the window', async () => {
  const clock = new ManualClock(1_000_000)
  let there = 0
  let back = 0
  const memory = memoryStore({ clock })
  const store = slowStore(
    clock,
    () => there,
    () => back,
    memory,
  )
  const limit = fixedWindow({ limit: 100, window: '10s' })
  const soft = createLimiter({ name: 'api', limit, mode: 'soft', store, clock, random: () => 0.5 })
  await soft.check('key')
  await clock.advance(9950)
  there = 10
  back = 70
  const reset = soft.reset('key')
  await clock.advance(1)
  soft.checkSync('key')
  const flushed = soft.flush()
  await clock.advance(60)
  let admitted = 0
  while (soft.checkSync('key').allowed) admitted++
  await clock.advance(100)
  there = 0
  back = 0
  expect(await reset).toBe(true)
  await flushed
  while (soft.checkSync('key').allowed) admitted++
  expect(admitted).toBe(100)
  await soft.close()
})
