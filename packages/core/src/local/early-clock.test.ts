import { expect, it } from 'vitest'
import { learningStore } from '../../test/far-store.ts'
import { takeAll } from '../../test/take-all.ts'
import { createLimiter, fixedWindow, type Limit, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock } from '../testing.ts'

/** Once slow commands have put a node's idea of the store's time ahead, it has begun a window that has not begun there. */
async function early(limit: Limit, mode: 'soft' | 'leased') {
  const clock = new ManualClock(1_000_000)
  const store = memoryStore({ clock })
  let delay = 100
  const options = {
    name: 'api',
    limit,
    clock,
    random: () => 0.5,
    timeout: '500ms',
    sync: { interval: '3s' },
  } as const
  // Commands take so long to arrive.
  const slow = learningStore(store, clock, async (table, request) => {
    if (delay > 0) await new Promise<void>((resolve) => clock.setTimer(resolve, delay))
    return table.exchange(request)
  })
  const node = createLimiter({ ...options, mode, store: slow })
  const other = createLimiter({ ...options, sync: undefined, store })
  const taking = node.check('key', { cost: 30 })
  await clock.advance(1000)
  expect((await taking).allowed).toBe(true)
  await clock.advance(8970)
  delay = 0
  const begins = node.check('key')
  await clock.advance(0)
  return { clock, node, other, begins }
}

it.each([
  ['fixed window', fixedWindow({ limit: 100, window: '10s' })],
  ['sliding window', slidingWindow({ limit: 100, window: '10s' })],
] as const)(
  'what goes back before a %s ends that the node took to be over is not taken out of the next one',
  async (name, limit) => {
    const { clock, node, other } = await early(limit, 'leased')
    await node.check('another')
    await clock.advance(5)
    const refunded = node.refund('key', 30)
    await clock.advance(1_010_001 - clock.monotonic())
    const taken = await takeAll(other, 'key')
    await clock.advance(3000)
    await refunded
    // Of a sliding window the 31 of the one before weigh a third less by then.
    expect(taken + (await takeAll(other, 'key'))).toBeLessThanOrEqual(
      name === 'sliding window' ? 69 + 10 : 100,
    )
    const closed = Promise.all([node.close(), other.close()])
    await clock.advance(5000)
    await closed
  },
)

it('what was admitted in a window that the store has not begun is settled once it has', async () => {
  const { clock, node, other, begins } = await early(fixedWindow({ limit: 100, window: '10s' }), 'soft')
  expect((await begins).allowed).toBe(true)
  const { storeCalls } = node.stats()
  const flushed = node.flush()
  flushed.catch(() => {})
  await clock.advance(1_010_001 - clock.monotonic())
  await flushed
  expect(node.stats().storeCalls - storeCalls).toBeLessThan(5)
  expect((await other.peek('key')).remaining).toBe(98)
  const closed = Promise.all([node.close(), other.close()])
  await clock.advance(5000)
  await closed
})

it('what was admitted in a window that the store has not begun is not lost by a node that closes', async () => {
  const { clock, node, other, begins } = await early(fixedWindow({ limit: 100, window: '10s' }), 'soft')
  expect((await begins).allowed).toBe(true)
  const closed = node.close()
  await clock.advance(1_010_001 - clock.monotonic())
  await closed
  expect((await other.peek('key')).remaining).toBe(98)
  await other.close()
})
