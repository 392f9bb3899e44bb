import { memoryStore } from '../src/index.ts'
import type { Store, Table } from '../src/store/store.ts'
import type { ManualClock } from '../src/testing.ts'

/** A way to a store on which commands take so many milliseconds to arrive, and their answers to come back. */
export function slowStore(
  clock: ManualClock,
  there: () => number,
  back = there,
  store = memoryStore({ clock }),
): Store {
  const wait = async (ms: number) => {
    if (ms > 0) await new Promise<void>((resolve) => clock.setTimer(resolve, ms))
  }
  return {
    open: (name, limit) => {
      const table = store.open(name, limit)
      const exchange: Table['exchange'] = async (request) => {
        await wait(there())
        const reply = await table.exchange(request)
        await wait(back())
        return reply
      }
      return Object.assign(Object.create(table), { exchange })
    },
    close: () => store.close(),
  }
}
