import { memoryStore } from '../src/index.ts'
import type { Operation, Store, Table } from '../src/store/store.ts'
import type { ManualClock } from '../src/testing.ts'
import { farStore } from './far-store.ts'

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

/** The same as over a network (see `farStore`), of which is told what each command carries, as it leaves. */
export function slowFarStore(
  clock: ManualClock,
  there: number,
  back: number,
  store: Store,
  tell: (operations: readonly Operation[]) => void,
): Store {
  const slow = slowStore(
    clock,
    () => there,
    () => back,
    store,
  )
  return farStore(slow, (table, request) => {
    tell(request.operations)
    return table.exchange(request)
  })
}

/** The demand for keys that settlements, and questions for more quota, tell of. */
export function demandIn(operations: readonly Operation[]): number[] {
  return operations.flatMap((operation) => {
    if (operation[0] === 'settle') return operation[6]?.[0] ?? 0
    return operation[0] === 'raise' ? operation[5] : []
  })
}
