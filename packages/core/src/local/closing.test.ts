import { expect, test } from 'vitest'
import { createLimiter, fixedWindow, memoryStore, type Store } from '../index.ts'
import { faultyStore, ManualClock } from '../testing.ts'

test('a check that waits for quota while its limiter closes has it, and the store is not asked again and again', async () => {
  const clock = new ManualClock(1_000_000)
  const limiter = createLimiter({
    name: 'api',
    limit: fixedWindow({ limit: 10, window: '1h' }),
    mode: 'leased',
    store: faultyStore(memoryStore({ clock }), { clock, latency: 1 }),
    clock,
    random: () => 0.5,
  })
  let answer: unknown
  void limiter.check('key').then((decision) => {
    answer = decision
  })
  void limiter.close()
  await clock.advance(50)
  expect(answer).toMatchObject({ allowed: true })
  // Read, booked, settled and given back.
  expect(limiter.stats().storeCalls).toBeLessThanOrEqual(4)
})

test('a limiter that closes gives back what is held of a reserve that answers late, and that was not needed', async () => {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  const open: Store['open'] = (name, ...more) =>
    faultyStore(memory, { clock, latency: name === 'api' ? 5 : 20 }).open(name, ...more)
  const made = {
    name: 'api',
    limit: fixedWindow({ limit: 10, window: '1h' }),
    spike: { extra: 1, per: '1h' },
    clock,
    random: () => 0.5,
  } as const
  const limiter = createLimiter({ ...made, mode: 'leased', store: { open, close: () => memory.close() } })
  const check = limiter.check('key')
  await clock.advance(1)
  let isClosed = false
  void limiter.close().then(() => {
    isClosed = true
  })
  await clock.advance(150)
  expect(isClosed).toBe(true)
  expect(await check).toMatchObject({ allowed: true })
  const other = createLimiter({ ...made, store: memory })
  await other.penalty('key', 9)
  expect(await other.check('key')).toMatchObject({ allowed: true, spike: true })
  await other.close()
})
