import { expect, test } from 'vitest'
import { forgetful } from '../../test/forgetful-store.ts'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { createLimiter, slidingLog } from '../index.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const INTERVAL = 1000
const limit = slidingLog({ limit: 10, window: '1m' })

for (const where of ['kept in RAM, and its window over', 'pushed out of RAM, and back'])
  test(`what a node gave back of a log is not taken of what others admitted, once the store has lost its data: ${where}`, async () => {
    const clock = new ManualClock(Date.UTC(2026, 5, 1))
    const { store, lose } = forgetful(clock, limit as Algorithm)
    const made = {
      ...({ name: 'restoring', limit, store, clock, random: () => 1, mode: 'soft' } as const),
      sync: { interval: INTERVAL },
    }
    const isPushedOut = where.startsWith('pushed')
    const first = createLimiter(isPushedOut ? { ...made, maxKeys: 1 } : made)
    const second = createLimiter(made)
    const settled = async <T>(promise: Promise<T>): Promise<T> => {
      await clock.advance(3 * INTERVAL)
      return promise
    }
    expect((await settled(first.check('key', { cost: 5 }))).allowed).toBe(true)
    expect(await settled(first.refund('key', 5))).toBe(true)
    if (isPushedOut) {
      await settled(first.check('another'))
      await settled(first.check('yet another'))
      expect((await settled(first.peek('key'))).remaining).toBe(9)
    } else await clock.advance(60 * INTERVAL)
    expect((await settled(second.check('key', { cost: 8 }))).allowed).toBe(true)
    const hard = createLimiter({ name: 'restoring', limit, store, clock })
    expect((await hard.peek('key')).remaining).toBe(1)

    lose()
    // The second one is the first to hear of it.
    second.checkSync('other')
    await second.flush()
    await clock.advance(3 * INTERVAL)
    expect((await hard.peek('key')).remaining).toBe(1)
    // What goes back later goes back as ever.
    expect(await settled(second.refund('key', 3))).toBe(true)
    expect((await hard.peek('key')).remaining).toBe(4)
    await Promise.all([first.close(), second.close(), hard.close(), clock.advance(1000)])
  })
