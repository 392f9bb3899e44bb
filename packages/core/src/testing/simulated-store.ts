import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Clock } from '../clock.ts'
import { StoreError } from '../errors.ts'
import { StoreOffset } from '../store/redis/offset.ts'
import type { JointTable, Request, Store, Table, TableName } from '../store/store.ts'
import type { Process } from './event-queue.ts'
import { type NetworkConditions, travelling, Way } from './network.ts'
import type { Observations } from './observations.ts'
import type { World } from './simulated-clock.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** A node's client of the server, behind the network; it learns the server's time as the Redis store does. */
export class SimulatedStore implements Store {
  /** @internal True time at which the server carried out what was answered last. */
  answeredAt = 0
  readonly offset: StoreOffset
  private readonly there: Way
  private readonly back: Way

  constructor(
    private readonly world: World,
    private readonly server: SimulatedServer,
    private readonly seen: Observations,
    private readonly clock: Clock,
    process: Process,
    conditions: Readonly<NetworkConditions>,
    random: () => number,
  ) {
    this.offset = new StoreOffset(clock.wall() - clock.monotonic())
    const now = () => world.time
    this.there = new Way(conditions, random, now, (at, arrive) => world.queue.plan(at, arrive))
    this.back = new Way(conditions, random, now, (at, arrive) => world.queue.plan(at, arrive, process))
  }

  open(name: string, limit: Algorithm): Table {
    const table = this.server.open(name, limit)
    const store = this
    return {
      place: 'server',
      get known() {
        return store.offset.known
      },
      now: () => Math.floor(store.offset.at(store.clock.monotonic())),
      latest: () => store.offset.latest(store.clock.monotonic(), store.clock.wall()),
      exchange: (request) => {
        const copy = travelling(request)
        return store.exchange([copy], () => table().exchange(copy))
      },
    }
  }

  join(tables: readonly TableName[]): JointTable {
    const joint = this.server.join(tables)
    return {
      exchange: (requests, reserve) => {
        const copies = travelling(requests)
        return this.exchange(copies, () => joint().exchange(copies, reserve))
      },
    }
  }

  /** One command, though it may be of several tables. */
  private exchange<T>(requests: readonly Request[], carryOut: () => Promise<T>): Promise<T> {
    const { world, server, clock } = this
    const entries = requests.reduce((sum, { operations }) => sum + operations.length, 0)
    this.seen.calls.note(world.epoch + world.time, entries)
    if (server.away) return Promise.reject(new StoreError('ERR_STORE_AWAY', 'the simulated store is away'))
    const sent = clock.monotonic()
    const sentWall = clock.wall()
    return new Promise((resolve, reject) => {
      let answered = false
      const answer = (reply: Promise<T>, at: number) => {
        const deliver = (settle: () => void) => () => {
          if (answered || server.away) return
          answered = true
          this.answeredAt = at
          this.offset.learn(world.epoch + at, sent, clock.monotonic(), sentWall)
          settle()
        }
        reply.then(
          (value) => this.back.reply(deliver(() => resolve(value))),
          (error) => this.back.reply(deliver(() => reject(error))),
        )
      }
      this.there.request(() => server.arrive(carryOut, answer))
    })
  }

  async close(): Promise<void> {}
}
