import type { Clock } from '../src/clock.ts'
import { StoreError } from '../src/index.ts'
import { StoreOffset } from '../src/store/redis/offset.ts'
import type { Reply, Request, Store, Table } from '../src/store/store.ts'

/** Carries a request to the table, and its answer back. */
type Carry = (table: Table, request: Request) => Promise<Reply>

/** A way to a store as over a network: it tells neither whether others have the counts, nor that it answers at once. */
export function farStore(store: Store, carry: Carry): Store {
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

/** A way to a store whose time is learnt from its answers, as that of Redis is. */
export function learningStore(store: Store, clock: Clock, carry: Carry): Store {
  const offset = new StoreOffset(0)
  return {
    open: (...name) => {
      const table = store.open(...name)
      return {
        get known() {
          return offset.known
        },
        now: () => Math.floor(offset.at(clock.monotonic())),
        latest: () => offset.latest(clock.monotonic(), clock.wall()),
        exchange: async (request) => {
          const sent = clock.monotonic()
          const reply = await carry(table, request)
          offset.learn(reply.now, sent, clock.monotonic(), sent)
          return reply
        },
      }
    },
    close: () => store.close(),
  }
}

/** A way to a store whose time is taken to be so far `ahead` of what it is, until an answer tells it more exactly. */
export function aheadStore(store: Store, fault: { ahead: number }, carry: Carry): Store {
  return {
    open: (...name) => {
      const table = store.open(...name)
      return {
        known: true,
        place: 'memory',
        now: () => table.now() + fault.ahead,
        latest: () => table.latest() + fault.ahead,
        exchange: async (request) => {
          const reply = await carry(table, { ...request, deadline: 0 })
          fault.ahead = 0
          return reply
        },
      }
    },
    close: () => store.close(),
  }
}
