import { expect, it } from 'vitest'
import { farStore } from '../../test/far-store.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { StoreError } from '../errors.ts'
import { type CheckOptions, createLimiter, type LeasedLimiter } from '../limiter.ts'
import { memoryStore } from '../store/memory.ts'
import { ManualClock } from '../testing/manual-clock.ts'

const LIMIT = 100
const limit = fixedWindow({ limit: LIMIT, window: '1h' })

/** A leased node with quota booked of a key, and a store that fails it from now on, until it is told otherwise. */
async function world(error: StoreError | undefined, chosen: CheckOptions = {}) {
  const clock = new ManualClock(1_000_000)
  const memory = memoryStore({ clock })
  let failure: StoreError | undefined
  const store = farStore(memory, async (table, request) => {
    if (failure?.uncertain !== false) {
      const reply = await table.exchange(request)
      if (failure === undefined) return reply
    }
    throw failure
  })
  const made = { name: 'api', limit, mode: 'leased', clock, random: () => 0.5 } as const
  const node = createLimiter({ ...made, store }) as LeasedLimiter
  const other = createLimiter({ ...made, store: memory })
  await Promise.all([node.check('a', { cost: 10, ...chosen }), clock.advance(1)])
  failure = error
  const back = () => {
    failure = undefined
  }
  /** All that the node did not spend is there for the other one, and no more. */
  const otherGetsTheRest = async (spent: number) => {
    back()
    await clock.advance(10_000)
    expect((await other.check('a', { cost: LIMIT - 10 - spent })).allowed).toBe(true)
    expect((await other.check('a')).allowed).toBe(false)
    await Promise.all([node.close(), other.close(), clock.advance(1000)])
  }
  return { clock, node, other, back, otherGetsTheRest }
}

function spendAll(node: LeasedLimiter, chosen: CheckOptions = {}): number {
  for (let spent = 0; ; spent++) if (!node.checkSync('a', chosen).allowed) return spent
}

async function booked(chosen: CheckOptions = {}): Promise<number> {
  const { node } = await world(undefined, chosen)
  return spendAll(node, chosen)
}

it.each([
  ['that does not leave, since the store is known to be away', 'ERR_STORE_AWAY', true],
  ['that finds no connection', 'ERR_STORE_AWAY', false],
  ['that the store refuses', 'ERR_STORE_REPLY', false],
] as const)('a reset %s changes nothing: quota booked before can be spent', async (_, code, isKnown) => {
  const { clock, node, otherGetsTheRest } = await world(new StoreError(code, 'it is not there'))
  if (isKnown) await Promise.all([node.peek('b'), clock.advance(20)])
  expect(node.stats().degraded).toBe(isKnown)
  expect(await node.reset('a')).toBe(false)
  const spent = spendAll(node)
  expect(spent).toBe(await booked())
  expect(spent).toBeGreaterThan(10)
  await otherGetsTheRest(spent)
})

it('quota booked before a reset that may have been carried out is not spent', async () => {
  const { clock, node, other, back } = await world(
    new StoreError('ERR_STORE_TIMEOUT', 'no answer', { uncertain: true }),
  )
  expect(await node.reset('a')).toBe(false)
  expect(spendAll(node)).toBe(0)
  back()
  await clock.advance(10_000)
  expect((await other.check('a', { cost: LIMIT })).allowed).toBe(true)
  await Promise.all([node.close(), other.close(), clock.advance(1000)])
})

it('a reset that does not reach the store leaves what is booked for a plan', async () => {
  const plan = { limit: fixedWindow({ limit: 90, window: '1h' }) }
  const { node, otherGetsTheRest } = await world(
    new StoreError('ERR_STORE_AWAY', 'it is not there', { uncertain: false }),
    plan,
  )
  expect(await node.reset('a')).toBe(false)
  const spent = spendAll(node, plan)
  expect(spent).toBe(await booked(plan))
  expect(spent).toBeGreaterThan(10)
  await otherGetsTheRest(spent)
})
