import { describe, expect, inject, it, onTestFinished } from 'vitest'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { memoryStore } from './memory.ts'
import { redisStore } from './redis/redis-store.ts'
import { LIMIT_KEPT, MOST_CHARGED, type Operation, type Request } from './store.ts'

const limit = fixedWindow({ limit: 10, window: '1h' }) as Algorithm
const BEGIN = 3_600_000
const MINUTE = 60_000

let opened = 0

/** A table whose time is told by hand, and how to ask it. */
function open(where: 'memory' | 'Redis') {
  const clock = new ManualClock(BEGIN)
  const redis = () =>
    redisStore(inject('redisUrl'), { prefix: `changes-kept-${++opened}`, now: () => clock.wall() })
  const store = where === 'memory' ? memoryStore({ clock }) : redis()
  onTestFinished(() => store.close())
  const table = store.open('api', limit)
  const ask = (operations: readonly Operation[], rest: Partial<Request> = {}) =>
    table.exchange({
      ...{ node: '0123456789abcdef', sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
      ...{ operations, ...rest },
    })
  /** The keys that have changed, by the list, and from when on it is complete. */
  const changes = async () => {
    const { changed, changesFrom } = await ask([], { since: BEGIN, node: 'fedcba9876543210' })
    return { changed: changed.map(({ key }) => key).sort(), changesFrom }
  }
  return { clock, ask, changes }
}

describe.each(['memory', 'Redis'] as const)('in %s', (where) => {
  it('a change is listed for ten minutes', async () => {
    const { clock, ask, changes } = open(where)
    await ask([['block', 'a', 30 * MINUTE]])
    await clock.advance(1)
    await ask([['charge', 'b', 1]])
    await clock.advance(10 * MINUTE - 1)
    expect(await changes()).toEqual({ changed: ['a', 'b'], changesFrom: BEGIN })
    await clock.advance(1)
    expect(await changes()).toEqual({ changed: ['b'], changesFrom: BEGIN + 1 })
    await clock.advance(1)
    expect(await changes()).toEqual({ changed: [], changesFrom: BEGIN + 2 })
  })

  it('so are the last 10,000, and no more', async () => {
    const { clock, ask, changes } = open(where)
    const blocks = (from: number, count: number) =>
      ask(Array.from({ length: count }, (_, at): Operation => ['block', `key-${from + at}`, 30 * MINUTE]))
    await blocks(0, 1)
    await clock.advance(1)
    for (let from = 1; from < 10_000; from += 1111) await blocks(from, 1111)
    expect((await changes()).changed).toHaveLength(10_000)
    await clock.advance(1)
    await blocks(10_000, 1)
    const { changed, changesFrom } = await changes()
    expect(changed).toHaveLength(10_000)
    expect(changed).not.toContain('key-0')
    expect(changesFrom).toBe(BEGIN + 1)
  })
})

// Elsewhere, what the stores do is compared with these: they must be what the documentation says.
it('a limit that was set is kept for 30 days, and a key counts up to 2^35', () => {
  expect([LIMIT_KEPT, MOST_CHARGED]).toEqual([30 * 24 * 60 * MINUTE, 34_359_738_368])
})
