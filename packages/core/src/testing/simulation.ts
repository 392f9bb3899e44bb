import { promiseHooks } from 'node:v8'
import type { Limit } from '../algorithms/algorithm.ts'
import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { HardLimiter, SoftLimiter } from '../limiter.ts'
import type { Store } from '../store/store.ts'
import { type Event, EventQueue, type Process } from './event-queue.ts'
import { CALM, type NetworkConditions } from './network.ts'
import { Observations } from './observations.ts'
import { mostAbove, type Report, report } from './report.ts'
import { seededRandom } from './seeded-random.ts'
import { SimulatedClock, type Skew, type World } from './simulated-clock.ts'
import { SimulatedServer } from './simulated-server.ts'
import { SimulatedStore } from './simulated-store.ts'
import type { Traffic } from './traffic.ts'

/** Lets all resolved promises go on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What a node's limiter is made of. */
export interface Surroundings {
  readonly clock: Clock
  readonly random: () => number
  readonly store: Store
}

export interface NodeOptions {
  /** Makes the node's limiter, also after a restart: `createLimiter({ name, limit, ...surroundings })`. */
  limiter: (surroundings: Surroundings) => HardLimiter | SoftLimiter
  /**
   * Whether checks may wait for the store. If not: `checkSync`, and `check` only if that says `'sync'`. Default true.
   */
  waits?: boolean
  skew?: Skew
}

/** A node's process, from its start to its crash. */
class Life implements Process {
  alive = true
  pausedUntil = -Infinity
  suspendedFor = 0
  readonly clock: SimulatedClock
  readonly store: SimulatedStore
  readonly limiter: HardLimiter | SoftLimiter
  private readonly deferred: Event[] = []
  /** Checks that came while the process stood still. */
  readonly backlog: (() => void)[] = []

  constructor(make: (life: Life) => Pick<Life, 'clock' | 'store' | 'limiter'>) {
    const { clock, store, limiter } = make(this)
    this.clock = clock
    this.store = store
    this.limiter = limiter
  }

  defer(event: Event): void {
    this.deferred.push(event)
  }

  get paused(): boolean {
    return this.pausedUntil > -Infinity
  }

  /** Goes on; what was to happen meanwhile happens now, timers first, as in Node's event loop. */
  resume(): Event[] {
    this.pausedUntil = -Infinity
    this.clock.stoodStill(this.suspendedFor)
    this.suspendedFor = 0
    const events = this.deferred.splice(0)
    return [...events.filter(({ isTimer }) => isTimer), ...events.filter(({ isTimer }) => !isTimer)]
  }
}

const ONE = { cost: 1 }

/** A node of a simulation: a real limiter in simulated surroundings. */
export class SimulatedNode {
  private life: Life

  /** @internal */
  constructor(
    private readonly world: World,
    private readonly seen: Observations,
    private readonly options: NodeOptions,
    private readonly start: () => Life,
  ) {
    this.life = start()
  }

  /** The limiter of the node's present life. */
  get limiter(): HardLimiter | SoftLimiter {
    return this.life.limiter
  }

  get alive(): boolean {
    return this.life.alive
  }

  /** A check reaches this node now. A paused node makes it when it goes on; a dead node never does. */
  check(key: string, cost = 1): void {
    const { life } = this
    if (life.paused) life.backlog.push(() => this.check(key, cost))
    else if (life.alive) this.decide(life, key, cost)
  }

  private decide(life: Life, key: string, cost: number): void {
    const { limiter } = life
    const options = cost === 1 ? ONE : { cost }
    if (this.options.waits === false) {
      const decision = (limiter as SoftLimiter).checkSync(key, options)
      if (decision.reason !== 'sync') {
        this.decided(life, key, cost, decision)
        return
      }
    }
    const from = this.world.time
    this.seen.unanswered++
    limiter.check(key, options).then(
      (decision) => {
        // A process that died meanwhile does nothing more.
        if (!life.alive) return
        this.seen.unanswered--
        const { epoch, time } = this.world
        if (time > from) this.seen.waits.note(epoch + from, time - from)
        this.decided(life, key, cost, decision)
      },
      (error: unknown) => {
        this.seen.unanswered--
        this.seen.failed++
        if (!(error instanceof StoreError)) this.seen.fault ??= error
      },
    )
  }

  /** Notes a decision: the store's as of when it was made, the node's own as of now. */
  private decided(life: Life, key: string, cost: number, decision: Decision): void {
    const { epoch, time } = this.world
    const at = decision.source === 'store' ? life.store.answeredAt : time
    this.seen.check(key, epoch + at, cost, decision.allowed)
  }

  /** The process is gone at once, with all it had in RAM; what it has sent still arrives. */
  crash(): void {
    this.life.alive = false
  }

  /** Starts again after a crash, as a node with another id and empty RAM. */
  restart(): void {
    if (this.life.alive) throw new Error('this node is alive: only a crashed one can be started again')
    this.life = this.start()
  }

  /**
   * The process stands still for `ms` milliseconds: timers are late, messages wait. With `suspended` its monotonic
   * clock stands still too, as that of a suspended machine may, and only the wall clock jumps.
   */
  pause(ms: number, options: { suspended?: boolean } = {}): void {
    const { life, world } = this
    const until = world.time + ms
    if (until <= life.pausedUntil) return
    if (options.suspended) life.suspendedFor += until - Math.max(world.time, life.pausedUntil)
    life.pausedUntil = until
    world.queue.plan(until, () => {
      if (life.pausedUntil === until) this.goOn(life)
    })
  }

  private goOn(life: Life): void {
    const { queue, time } = this.world
    for (const event of life.resume()) queue.plan(time, () => event.cancelled || event.run(), life)
    for (const check of life.backlog.splice(0)) queue.plan(time, check, life)
  }
}

export interface SimulationOptions {
  /** An integer. The same one gives the same run. */
  seed?: number
  /** Milliseconds since the Unix epoch at which it begins; default the middle of January 2027, a whole minute. */
  epoch?: number
  /** The network between each node and the store; default a round trip of a millisecond and no faults. */
  network?: Partial<NetworkConditions>
}

/**
 * Real limiters on simulated nodes: hours in seconds, the same each time. Time is virtual; between the nodes and
 * the one store lies a network that may be slow, lose, repeat and reorder; nodes have clocks that are wrong, crash,
 * stand still and restart; the store stalls, goes away and loses its data. An observer sees every decision at the
 * store's true time, and reports how well the limit was kept.
 *
 * @example
 * ```ts
 * import { createLimiter, fixedWindow } from '@spillway/core'
 * import { PoissonTraffic, seededRandom, Simulation } from '@spillway/core/testing'
 *
 * const limit = fixedWindow({ limit: 100, window: '1s' })
 * const simulation = new Simulation({ seed: 1, network: { latency: 0.5, replyLoss: 0.01 } })
 * for (let node = 0; node < 4; node++) {
 *   simulation.addNode({
 *     limiter: (surroundings) =>
 *       createLimiter({ name: 'api', limit, mode: 'soft', sync: { interval: '100ms' }, ...surroundings }),
 *   })
 * }
 * simulation.at(2500, () => simulation.nodes[0]?.crash())
 * await simulation.run(5000, new PoissonTraffic({ random: seededRandom(1), rate: 200, nodes: 4 }))
 * const { overshoot, share } = simulation.report(limit)
 * console.log(overshoot.max < 1, share > 0.9) // true true
 * ```
 */
export class Simulation {
  /** May be changed while it runs. */
  readonly network: NetworkConditions
  readonly server: SimulatedServer
  readonly nodes: SimulatedNode[] = []
  /** What the observer has seen. */
  readonly seen = new Observations()
  private readonly world: World & { time: number }
  private readonly seed: number
  private streams = 0

  constructor(options: SimulationOptions = {}) {
    this.seed = options.seed ?? 1
    this.network = { ...CALM, ...options.network }
    this.world = { time: 0, epoch: options.epoch ?? 1_800_000_000_000, queue: new EventQueue() }
    this.server = new SimulatedServer(this.world)
  }

  /** Milliseconds since it began. */
  get time(): number {
    return this.world.time
  }

  /** Random numbers of their own, the same for the same seed and order of calls. */
  random(): () => number {
    return seededRandom(this.seed, ++this.streams)
  }

  /** A node that starts now. */
  addNode(options: NodeOptions): SimulatedNode {
    const { world, seen, server, network } = this
    const random = this.random()
    const node = new SimulatedNode(
      world,
      seen,
      options,
      () =>
        new Life((life) => {
          const clock = new SimulatedClock(world, life, options.skew ?? {}, Math.floor(random() * 2 ** 32))
          const store = new SimulatedStore(world, server, seen, clock, life, network, random)
          return { clock, store, limiter: options.limiter({ clock, random, store }) }
        }),
    )
    this.nodes.push(node)
    return node
  }

  /** Calls back at a time, in milliseconds since the simulation began. */
  at(time: number, act: () => void): void {
    this.world.queue.plan(Math.max(time, this.world.time), act)
  }

  /**
   * Goes on for `ms` milliseconds, with this traffic.
   *
   * @throws the first error of a check that is not a StoreError
   */
  async run(ms: number, traffic?: Traffic): Promise<void> {
    const { world, nodes } = this
    const end = world.time + ms
    let promises = 0
    // A check that made a promise may have started something that must go on before time does.
    const stop = promiseHooks.onInit(() => {
      promises++
    })
    try {
      await settled()
      while (this.seen.fault === undefined) {
        const event = world.queue.nextAt
        if (traffic !== undefined && traffic.at <= event && traffic.at < end) {
          world.time = Math.max(world.time, traffic.at)
          const before = promises
          ;(nodes[traffic.node] as SimulatedNode).check(traffic.key, traffic.cost)
          traffic.next()
          if (promises !== before) await settled()
        } else if (event <= end) {
          if (this.step()) await settled()
        } else {
          world.time = end
          return
        }
      }
      throw this.seen.fault
    } finally {
      stop()
    }
  }

  /** Runs the next event; returns whether anything happened. */
  private step(): boolean {
    const { world } = this
    const event = world.queue.take() as Event
    world.time = Math.max(world.time, event.at)
    const { process } = event
    if (process?.alive === false) return false
    if (process?.paused) {
      process.defer(event)
      return false
    }
    event.run()
    return true
  }

  /** The most by which usage of any key has passed this limit at any moment, as a cost; 0: never. */
  overshoot(limit: Limit): number {
    return mostAbove(this.seen, limit)
  }

  /** What was seen so far, by this limit. @throws RangeError before two windows are over */
  report(limit: Limit): Report {
    const { epoch, time } = this.world
    return report(this.seen, limit, epoch, epoch + time)
  }
}
