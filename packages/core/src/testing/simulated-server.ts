import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Clock } from '../clock.ts'
import { memoryStore } from '../store/memory.ts'
import type { Reply, Request, Store, Table } from '../store/store.ts'
import type { World } from './simulated-clock.ts'

/** A limiter's table on the server, opened again after data loss. */
export interface ServerTable {
  table: Table
  life: number
}

/** The store's server: one real `memoryStore`, by a clock that is the truth. */
export class SimulatedServer {
  private store: Store
  private life = 0
  private stalledUntil = 0
  private awayUntil = 0
  private readonly clock: Clock

  /** @internal */
  constructor(private readonly world: World) {
    this.clock = {
      wall: () => world.epoch + world.time,
      monotonic: () => world.time,
      setTimer: () => {
        throw new Error('the memory store sets no timers')
      },
      clearTimer: () => {},
    }
    this.store = memoryStore({ clock: this.clock })
  }

  /** The server does nothing for `ms` milliseconds; what arrives meanwhile is carried out then. */
  stall(ms: number): void {
    this.stalledUntil = Math.max(this.stalledUntil, this.world.time + ms)
  }

  /** For `ms` milliseconds connections are refused, and what is under way is lost. */
  goAway(ms: number): void {
    this.awayUntil = Math.max(this.awayUntil, this.world.time + ms)
  }

  /** All data is lost, as by an empty restart. */
  loseData(): void {
    this.life++
    this.store = memoryStore({ clock: this.clock })
  }

  /** @internal */
  get away(): boolean {
    return this.world.time < this.awayUntil
  }

  /** @internal */
  open(name: string, limit: Algorithm): ServerTable {
    return { table: this.store.open(name, limit), life: this.life }
  }

  /** @internal Carries a request out when it can, and answers with when that was. */
  arrived(
    opened: ServerTable,
    open: () => ServerTable,
    request: Request,
    answer: (reply: Promise<Reply>, at: number) => void,
  ): void {
    const { world } = this
    if (this.away) return
    if (world.time < this.stalledUntil) {
      world.queue.plan(this.stalledUntil, () => this.arrived(opened, open, request, answer))
      return
    }
    if (opened.life !== this.life) Object.assign(opened, open())
    answer(opened.table.exchange(request), world.time)
  }
}
