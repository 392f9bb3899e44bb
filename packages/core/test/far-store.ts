import { StoreError } from '../src/index.ts'
import type { Reply, Request, Store, Table } from '../src/store/store.ts'

/**
 * A way to a store as over a network: it tells neither whether others have the counts, nor that it answers at once.
 *
 * @param carry carries a request to the table, and its answer back
 */
export function farStore(store: Store, carry: (table: Table, request: Request) => Promise<Reply>): Store {
  return {
    open: (...name) => {
      const table = store.open(...name)
      const exchange: Table['exchange'] = (request) => carry(table, request)
      return { known: true, now: () => table.now(), latest: () => table.latest(), exchange }
    },
    close: () => store.close(),
  }
}

/** As `farStore`; as long as it is away, connections to it are refused. */
export function refusingStore(store: Store, fault: { isAway: boolean }): Store {
  return farStore(store, (table, request) =>
    fault.isAway ? Promise.reject(new StoreError('ERR_STORE_AWAY', 'away')) : table.exchange(request),
  )
}
