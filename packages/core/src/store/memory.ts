import type { Algorithm } from '../algorithms/algorithm.ts'
import { type Clock, checkClock, systemClock } from '../clock.ts'
import { ConfigError, show } from '../errors.ts'
import { checkOptionNames, holdsOptions } from '../option-names.ts'
import { Counts } from './memory/counts.ts'
import { MemoryJointTable } from './memory/joint-table.ts'
import { MemoryTable } from './memory/table.ts'
import { type JointTable, mismatchMessage, type Store, signature, type TableName } from './store.ts'

class MemoryStore implements Store {
  private readonly counts = new Map<string, Counts>()
  private readonly time: () => number

  constructor(clock: Clock) {
    const offset = clock.wall() - clock.monotonic()
    this.time = () => Math.floor(clock.monotonic() + offset)
  }

  open(name: string, limit: Algorithm): MemoryTable {
    const ours = signature(limit)
    let counts = this.counts.get(name)
    if (counts === undefined) {
      counts = new Counts(ours)
      this.counts.set(name, counts)
    }
    if (counts.signature !== ours) {
      throw new ConfigError('ERR_MISMATCH', mismatchMessage(name, counts.signature, ours))
    }
    counts.tables++
    counts.shared?.()
    counts.shared = undefined
    return new MemoryTable(limit, counts, this.time)
  }

  join(tables: readonly TableName[]): JointTable {
    return new MemoryJointTable(tables.map(({ table, limit }) => this.open(table, limit)))
  }

  async close(): Promise<void> {}
}

/**
 * Counts in this process's RAM: the default, for one process and for tests. Limiters with the same name on
 * the same store share their counts. Time begins at the machine's clock and then follows the monotonic one.
 *
 * @example
 * ```ts
 * import { createLimiter, fixedWindow, memoryStore } from '@spillway/core'
 *
 * const store = memoryStore()
 * const limit = fixedWindow({ limit: 1, window: '1h' })
 * const one = createLimiter({ name: 'api', limit, store })
 * const two = createLimiter({ name: 'api', limit, store })
 * console.log((await one.check('user:42')).allowed) // true
 * console.log((await two.check('user:42')).allowed) // false
 * ```
 */
export function memoryStore(options: { clock?: Clock | undefined } = {}): Store {
  if (!holdsOptions(options)) {
    throw new ConfigError(
      'ERR_OPTION',
      `memoryStore was given ${show(options)}: give an object such as { clock }, or nothing`,
    )
  }
  checkOptionNames(options, 'memoryStore', ['clock'])
  const { clock = systemClock } = options
  checkClock(clock)
  return new MemoryStore(clock)
}
