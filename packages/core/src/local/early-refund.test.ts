import { expect, it } from 'vitest'
import { aheadStore } from '../../test/far-store.ts'
import { takeAll } from '../../test/take-all.ts'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { createLimiter, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

const LIMIT = slidingWindow({ limit: 100, window: '10s' })

/** A node beside a hard one: its idea of the store's time is some way ahead until an answer tells it, and answers may be slow. */
function world() {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const way = { ahead: 0, ms: 0 }
  const wait = (ms: number) => new Promise<void>((resolve) => clock.setTimer(resolve, ms))
  const store = aheadStore(memory, way, async (table, request) => {
    if (way.ms > 0) await wait(way.ms)
    return table.exchange(request)
  })
  const options = { name: 'api', limit: LIMIT, clock, random: () => 0.5 }
  const node = createLimiter({ ...options, mode: 'soft', store })
  const other = createLimiter({ ...options, store: memory })
  const close = () => Promise.all([node.close(), other.close(), clock.advance(5000)])
  return { clock, memory, way, node, other, close }
}

it('what was reserved goes back where the node took its window to be over too early', async () => {
  const { clock, way, node, other, close } = world()
  const call = await node.reserve('key', 30, { settleAfter: '1h' })
  await clock.advance(9970)
  way.ahead = 50
  // By the node's clock the next window has begun: until the store is heard.
  await node.check('key')
  const flushed = node.flush()
  await clock.advance(0)
  const released = call.release()
  await clock.advance(30)
  await flushed
  expect(await released).toBe(true)
  await clock.advance(1000)
  expect((await other.peek('key')).remaining).toBe(99 - 1)
  await close()
})

it('what was reserved in a window that has not begun is not given back out of what others took in the one before', async () => {
  const { clock, way, node, other, close } = world()
  expect((await other.check('key', { cost: 60 })).allowed).toBe(true)
  await node.check('key')
  await clock.advance(9960)
  Object.assign(way, { ahead: 50, ms: 5 })
  const call = await node.reserve('key', 30, { settleAfter: '1h' })
  expect(call.allowed).toBe(true)
  const taken = 60 + (await takeAll(other, 'key'))
  const released = call.release()
  await clock.advance(10)
  const flushed = node.flush()
  await clock.advance(10)
  expect(taken + (await takeAll(other, 'key'))).toBeLessThanOrEqual(100)
  await clock.advance(100)
  await Promise.all([flushed, released])
  await close()
})

it('what is booked for others of a window that the node took to be over too early counts in it', async () => {
  const { clock, memory, way, node, close } = world()
  await node.check('key')
  await memory.open('api', LIMIT as Algorithm).exchange({
    ...{ node: '00000000000000b1', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
    operations: [['settle', 'key', 0, 100, [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 60, 60]]],
  })
  await clock.advance(9900)
  way.ahead = 150
  await node.check('key')
  const flushed = node.flush()
  await clock.advance(0)
  expect((await node.peek('key')).remaining).toBeLessThanOrEqual(40)
  await clock.advance(1000)
  await flushed
  await close()
})
