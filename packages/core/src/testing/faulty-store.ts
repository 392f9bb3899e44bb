import { type Clock, systemClock } from '../clock.ts'
import { StoreError } from '../errors.ts'
import type { JointTable, Store, Table, TableName } from '../store/store.ts'
import { Availability } from './availability.ts'
import { CALM, type NetworkConditions, travelling, Way } from './network.ts'
import { seededRandom } from './seeded-random.ts'

export interface FaultyStoreOptions extends Partial<NetworkConditions> {
  /** The clock of the limiters that use the store; default the machine's. */
  clock?: Clock
  /** An integer: the same one gives the same faults. Default 1. */
  seed?: number
}

/** A store behind a network that does what you say. */
export interface FaultyStore extends Store {
  /** May be changed at any time. */
  readonly network: NetworkConditions
  /** The store does nothing for `ms` milliseconds; what arrives meanwhile is carried out then. */
  stall(ms: number): void
  /** For `ms` milliseconds connections are refused, and what is under way is lost. */
  goAway(ms: number): void
}

class NetworkedStore implements FaultyStore {
  readonly network: NetworkConditions
  readonly shards?: number
  readonly join?: NonNullable<Store['join']>
  private readonly availability: Availability
  private readonly there: Way
  private readonly back: Way

  constructor(
    private readonly store: Store,
    options: FaultyStoreOptions,
  ) {
    const { clock = systemClock, seed = 1, ...conditions } = options
    this.network = { ...CALM, latency: 0, ...conditions }
    const now = () => clock.monotonic()
    const plan = (at: number, act: () => void) => {
      const ms = at - now()
      if (ms > 0) clock.setTimer(act, ms)
      else act()
    }
    const random = seededRandom(seed)
    this.availability = new Availability(now, plan)
    this.there = new Way(this.network, random, now, plan)
    this.back = new Way(this.network, random, now, plan)
    const { join, shards } = store
    if (shards !== undefined) this.shards = shards
    if (join !== undefined) this.join = (tables) => this.joinOver(join, tables)
  }

  private joinOver(join: NonNullable<Store['join']>, tables: readonly TableName[]): JointTable {
    const joint = join.call(this.store, tables)
    return {
      exchange: (requests, reserve) => {
        const copies = travelling(requests)
        return this.exchange(() => joint.exchange(copies, reserve))
      },
    }
  }

  open(...names: Parameters<Store['open']>): Table {
    const table = this.store.open(...names)
    return {
      ...(table.place !== undefined && { place: table.place }),
      get known() {
        return table.known
      },
      now: () => table.now(),
      latest: () => table.latest(),
      exchange: (request) => {
        const copy = travelling(request)
        return this.exchange(() => table.exchange(copy))
      },
    }
  }

  private exchange<T>(send: () => Promise<T>): Promise<T> {
    const { availability, there, back } = this
    if (availability.away) return Promise.reject(new StoreError('ERR_STORE_AWAY', 'the faulty store is away'))
    return new Promise((resolve, reject) => {
      const arrive = (settle: () => void) => back.reply(() => availability.away || settle())
      const carryOut = () => {
        send().then(
          (reply) => arrive(() => resolve(reply)),
          (error) => arrive(() => reject(error)),
        )
      }
      there.request(() => availability.arrive(carryOut))
    })
  }

  stall(ms: number): void {
    this.availability.stall(ms)
  }

  goAway(ms: number): void {
    this.availability.goAway(ms)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}

/**
 * Puts a network between your limiters and a store that delays, loses, repeats and reorders what passes, so that
 * your own tests can see how your service fares. Without options it passes everything at once.
 *
 * @example
 * ```ts
 * import { createLimiter, fixedWindow, memoryStore } from '@spillway/core'
 * import { faultyStore, ManualClock } from '@spillway/core/testing'
 *
 * const clock = new ManualClock()
 * const store = faultyStore(memoryStore({ clock }), { clock, replyLoss: 0.1, seed: 7 })
 * const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 10, window: '1m' }), store, clock })
 * console.log((await limiter.check('user:42')).source) // store
 *
 * store.goAway(60_000)
 * const { allowed, reason } = await limiter.check('user:42')
 * console.log(allowed, reason) // false outage
 * ```
 */
export function faultyStore(store: Store, options: FaultyStoreOptions = {}): FaultyStore {
  return new NetworkedStore(store, options)
}
