import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Clock } from '../clock.ts'
import { memoryStore } from '../store/memory.ts'
import type { JointTable, Store, Table, TableName } from '../store/store.ts'
import { Availability } from './availability.ts'
import type { World } from './simulated-clock.ts'

/** The store's server: one real `memoryStore`, whose clock shows the true time. */
export class SimulatedServer {
  private store: Store
  private life = 0
  private readonly availability: Availability
  private readonly clock: Clock

  /** @internal */
  constructor(private readonly world: World) {
    this.availability = new Availability(
      () => world.time,
      (at, act) => world.queue.plan(at, act),
    )
    this.clock = {
      wall: () => world.epoch + world.time,
      monotonic: () => world.time,
      setTimer: (act, ms) => world.queue.plan(world.time + ms, act),
      clearTimer: () => {},
    }
    this.store = memoryStore({ clock: this.clock })
  }

  /** The server does nothing for `ms` milliseconds; what arrives meanwhile is carried out then. */
  stall(ms: number): void {
    this.availability.stall(ms)
  }

  /** For `ms` milliseconds connections are refused, and what is under way is lost. */
  goAway(ms: number): void {
    this.availability.goAway(ms)
  }

  /** All data is lost, as by an empty restart. */
  loseData(): void {
    this.life++
    this.store = memoryStore({ clock: this.clock })
  }

  /** @internal */
  get away(): boolean {
    return this.availability.away
  }

  /** @internal A limiter's table as its requests find it: an empty one after data loss. */
  open(name: string, limit: Algorithm): () => Table {
    return this.found((store) => store.open(name, limit))
  }

  /** @internal As `open`, of several tables. */
  join(tables: readonly TableName[]): () => JointTable {
    return this.found((store) => store.join?.(tables) as JointTable)
  }

  private found<T>(open: (store: Store) => T): () => T {
    let opened = open(this.store)
    let { life } = this
    return () => {
      if (life !== this.life) opened = open(this.store)
      life = this.life
      return opened
    }
  }

  /** @internal A request arrives; if it is carried out, `answer` is told the reply and the true time. */
  arrive<T>(carryOut: () => Promise<T>, answer: (reply: Promise<T>, at: number) => void): void {
    this.availability.arrive(() => answer(carryOut(), this.world.time))
  }
}
