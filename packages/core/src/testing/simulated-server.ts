import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Clock } from '../clock.ts'
import { memoryStore } from '../store/memory.ts'
import type { Reply, Request, Store, Table } from '../store/store.ts'
import { Availability } from './availability.ts'
import type { World } from './simulated-clock.ts'

/** The store's server: one real `memoryStore`, by a clock that is the truth. */
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
    let table = this.store.open(name, limit)
    let { life } = this
    return () => {
      if (life !== this.life) table = this.store.open(name, limit)
      life = this.life
      return table
    }
  }

  /** @internal A request arrives; its answer, if it is carried out, with the true time of that. */
  arrive(table: () => Table, request: Request, answer: (reply: Promise<Reply>, at: number) => void): void {
    this.availability.arrive(() => answer(table().exchange(request), this.world.time))
  }
}
