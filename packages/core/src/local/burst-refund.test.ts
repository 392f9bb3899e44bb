import { expect, it } from 'vitest'
import { takeAll } from '../../test/take-all.ts'
import type { Clock } from '../clock.ts'
import { createLimiter, memoryStore, slidingLog } from '../index.ts'
import { ManualClock } from '../testing.ts'

it.each(['soft', 'leased'] as const)(
  '%s: of a log goes back what was reserved late in a burst that shares a reading of the clock',
  async (mode) => {
    const manual = new ManualClock(1_000_000)
    let worked = 0
    const clock: Clock = {
      wall: () => manual.wall() + worked,
      monotonic: () => manual.monotonic() + worked,
      setTimer: (callback, ms) => manual.setTimer(callback, ms),
      clearTimer: (timer) => manual.clearTimer(timer),
      afterTurn: (callback) => void setImmediate(callback),
    }
    const store = memoryStore({ clock })
    const options = {
      name: 'api',
      limit: slidingLog({ limit: 100, window: '10s' }),
      store,
      clock,
      random: () => 0.5,
    } as const
    const node = createLimiter({ ...options, mode })
    const other = createLimiter(options)
    await node.peek('key')
    await node.flush()
    const burst = [node.peek('key'), node.peek('key')]
    // So long the same turn of the event loop has work to do.
    worked = 5
    const reserving = node.reserve('key', 30, { settleAfter: '1h' })
    await Promise.all(burst)
    const call = await reserving
    expect(call.allowed).toBe(true)
    await node.flush()
    await manual.advance(4000)
    expect(await takeAll(other)).toBe(70)
    await manual.advance(1000)
    expect(await call.release()).toBe(true)
    expect(await takeAll(other)).toBe(30)
    // What was reserved would have grown old by now: the 70 and the 30 count still.
    await manual.advance(5500)
    expect(await takeAll(other)).toBe(0)
    const closed = Promise.all([node.close(), other.close()])
    await manual.advance(2000)
    await closed
  },
)
