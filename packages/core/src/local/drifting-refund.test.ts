import { describe, expect, it } from 'vitest'
import { takeAll } from '../../test/take-all.ts'
import type { Clock } from '../clock.ts'
import { createLimiter, fixedWindow, type Limit, type Mode, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

/** A node, and one beside it on a store whose clock runs faster by this part, and may step forward. */
function world(limit: Limit, mode: Mode, drift: number) {
  const clock = new ManualClock(1_000_000)
  const begun = clock.monotonic()
  let step = 0
  const theirs: Clock = {
    wall: () => clock.wall(),
    monotonic: () => begun + (clock.monotonic() - begun) * (1 + drift) + step,
    setTimer: (callback, ms) => clock.setTimer(callback, ms),
    clearTimer: (timer) => clock.clearTimer(timer),
  }
  const store = memoryStore({ clock: theirs })
  const options = { name: 'api', limit, store, clock, random: () => 0.5, maxKeys: 16 }
  const node = createLimiter({ ...options, mode })
  return {
    clock,
    node,
    other: createLimiter(options),
    now: () => Math.floor(theirs.monotonic()),
    stepForward: (ms: number) => {
      step += ms
    },
    /** The key is pushed out of the node's RAM. */
    pushOut: async () => {
      for (let place = 0; place < 100; place++) await node.check(`key-${place}`)
      await node.flush()
    },
  }
}

/** The most that the design has clocks differ in speed, or nearly so. */
const DRIFT = 0.0009

describe.each(['leased', 'soft', 'hard'] as const)('%s', (mode) => {
  describe.each(['in RAM', 'pushed out of RAM'])('of a key %s nothing goes back', (where) => {
    it('out of a sliding window after that in which it was taken, by clocks that differ in speed', async () => {
      const { clock, node, other, now, pushOut } = world(
        slidingWindow({ limit: 100, window: '10s' }),
        mode,
        DRIFT,
      )
      await node.check('warm')
      await clock.advance(2000)
      while (now() % 10_000 < 9994) await clock.advance(1)
      const call = await node.reserve('key', 50, { settleAfter: '1h' })
      expect(call.allowed).toBe(true)
      await node.flush()
      if (where !== 'in RAM') await pushOut()
      await clock.advance(9800)
      const taken = await takeAll(other)
      await node.check('key')
      await node.flush()
      if (where !== 'in RAM') await pushOut()
      await call.release()
      await node.flush()
      expect(taken + (await takeAll(other))).toBeLessThanOrEqual(100)
      await Promise.all([node.close(), other.close()])
    })

    it('of what was reset since, by clocks that differ in speed', async () => {
      const { clock, node, other, pushOut } = world(fixedWindow({ limit: 100, window: '1000s' }), mode, DRIFT)
      await node.check('warm')
      await clock.advance(2000)
      const call = await node.reserve('key', 100, { settleAfter: '1h' })
      expect(call.allowed).toBe(true)
      await node.flush()
      await clock.advance(10)
      expect(await other.reset('key')).toBe(true)
      await clock.advance(3000)
      await node.flush()
      if (where !== 'in RAM') await pushOut()
      await clock.advance(50_000)
      await node.flush()
      const taken = await takeAll(other)
      if (where === 'in RAM') await node.check('key')
      await node.flush()
      await clock.advance(6000)
      await call.release()
      await node.flush()
      await clock.advance(3000)
      expect(taken + (await takeAll(other))).toBeLessThanOrEqual(100)
      await Promise.all([node.close(), other.close()])
    })

    it('out of a window into which the store stepped', async () => {
      const { clock, node, other, now, stepForward, pushOut } = world(
        fixedWindow({ limit: 100, window: '10s' }),
        mode,
        0,
      )
      await node.check('warm')
      while (now() % 10_000 < 9000) await clock.advance(1)
      const call = await node.reserve('key', 50, { settleAfter: '1h' })
      expect(call.allowed).toBe(true)
      await node.flush()
      if (where !== 'in RAM') await pushOut()
      stepForward(3000)
      await node.check('warm')
      await node.flush()
      const taken = await takeAll(other)
      await call.release()
      await node.flush()
      expect(taken + (await takeAll(other))).toBeLessThanOrEqual(100)
      await Promise.all([node.close(), other.close()])
    })
  })
})
