import type { Algorithm, Limit } from '../../src/algorithms/algorithm.ts'
import { createLimiter, type HardLimiter, type SoftLimiter } from '../../src/limiter.ts'
import type { LimiterOptions } from '../../src/options.ts'
import type { Store, Table } from '../../src/store/store.ts'
import { CALM } from '../../src/testing/network.ts'
import { type SimulatedNode, Simulation, type Surroundings } from '../../src/testing/simulation.ts'
import { type History, limitOf, type NodePlan, type Step } from './history.ts'

const KEY = 'key'

/** Commands in a history at most: more tell of a node that asks again and again without an end. */
const MOST_COMMANDS = 20_000

/** Commands of a node at one moment, one after the other, at most: on a network without latency no time passes between them. */
const MOST_AT_ONCE = 60

/** Milliseconds for which a node surely waits for an answer, whose clock may run fast. */
const TIMEOUT = 99

/** More than can be admitted in a history. */
const LARGE = 5000

/** Milliseconds for which a step can keep the store away, and nodes from asking it again after that. */
const LONGEST_OUTAGE = 1500
const LONGEST_PROBE = 12_000
const PROBED = 1000

/** A cost that was admitted; times are the store's, in milliseconds with their fraction. */
export interface Admission {
  readonly at: number
  readonly cost: number
  /** What the node took the store's time for. */
  readonly believed: number
}

/** One life of a node: from its start to its crash, or until another one took its place. */
export class Life {
  readonly admitted: Admission[] = []
  readonly offered: { readonly at: number; readonly cost: number }[] = []
  /** When a command with the key left, and when its answer came; Infinity: it did not. */
  readonly exchanges: { readonly sent: number; replied: number }[] = []
  alive = true
  /** Another node took its place while the history lasted. */
  replaced = false
  /** It was replaced, and the store and the network were well then. */
  leftInPeace = false
  /** Commands that left at the moment of the one before them. */
  atOnce = 0
  /** The latest that the store said of its time. */
  heard = 0
  table: Table | undefined

  constructor(
    readonly plan: NodePlan,
    readonly began: number,
  ) {}

  get sum(): number {
    return this.admitted.reduce((sum, { cost }) => sum + cost, 0)
  }
}

/** A call that changes counts at some moment between its start and its end; `known`: it did. */
interface Verb {
  readonly what: 'refund' | 'reset'
  readonly cost: number
  readonly from: number
  until: number
  known: boolean
}

interface Player {
  node: SimulatedNode
  life: Life
  plan: NodePlan
  /** Simulated time until which it stands still. */
  pausedUntil: number
}

/** A fleet of real limiters in the simulator, and all that an observer saw of it. */
export class Fleet {
  readonly limit: Limit
  readonly simulation: Simulation
  readonly lives: Life[] = []
  readonly verbs: Verb[] = []
  /** When the store lost its data last. */
  lostAt = -Infinity
  /** Decisions that said that less than nothing is left. */
  negative = 0
  private commands = 0
  private readonly players: Player[] = []
  private born: Life | undefined
  /** The most that one step lets one life refund: what it has admitted and not given back. */
  private readonly refundable = new Map<Life, number>()

  constructor(readonly history: History) {
    this.limit = limitOf(history)
    const { latency, jitter, ...faults } = history.network
    this.simulation = new Simulation({
      seed: history.seed,
      epoch: history.epoch,
      network: { ...faults, latency: jitter === 0 ? latency : (random) => latency + jitter * random() },
    })
    for (const plan of history.nodes) this.players.push(this.join(plan))
  }

  /** The store's time. */
  get now(): number {
    return this.history.epoch + this.simulation.time
  }

  /** The most that may be booked. */
  get budget(): number {
    const { limit, maxOvershoot } = this.history
    return limit + Math.floor(maxOvershoot * limit)
  }

  /** How far above its limit a fleet with a share that may be exceeded may go. */
  get extra(): number {
    return this.lives.some(({ plan }) => plan.mode === 'capped') ? this.budget - this.history.limit : 0
  }

  private join(plan: NodePlan): Player {
    const player: Partial<Player> = { plan, pausedUntil: -Infinity }
    player.node = this.simulation.addNode({
      limiter: (surroundings) => {
        this.born = new Life(plan, this.now)
        this.lives.push(this.born)
        player.life = this.born
        return this.limiter(this.born, surroundings)
      },
      waits: plan.waits || plan.mode === 'hard',
      skew: { wall: plan.wall, rate: plan.rate },
    })
    return player as Player
  }

  private limiter(life: Life, { clock, random, store }: Surroundings): HardLimiter | SoftLimiter {
    const options = optionsOf(life.plan, this.history)
    const limiter = createLimiter({
      ...{ name: 'api', limit: this.limit, maxKeys: 4, clock, random },
      ...options,
      store: this.watched(life, store),
    }) as SoftLimiter
    const note = (cost: number, decision: Awaited<ReturnType<SoftLimiter['check']>>) => {
      if (!life.alive) return decision
      if (decision.remaining < 0) this.negative++
      if (!decision.allowed) return decision
      const at = decision.source === 'store' ? life.heard : this.now
      const table = life.table as Table
      // Before it has heard of the store's time it says how long ago something was.
      const believed = decision.source === 'store' || !table.known ? at : table.now()
      life.admitted.push({ at, cost, believed })
      this.refundable.set(life, (this.refundable.get(life) ?? 0) + cost)
      return decision
    }
    const { check, checkSync } = limiter
    return Object.assign(limiter, {
      check: async (key: string, given: { cost: number }) => {
        life.offered.push({ at: this.now, cost: given.cost })
        return note(given.cost, await check.call(limiter, key, given))
      },
      ...(checkSync === undefined
        ? {}
        : {
            checkSync: (key: string, given: { cost: number }) => {
              life.offered.push({ at: this.now, cost: given.cost })
              return note(given.cost, checkSync.call(limiter, key, given))
            },
          }),
    })
  }

  private watched(life: Life, store: Store): Store {
    return {
      open: (name: string, limit: Algorithm) => {
        const table = store.open(name, limit)
        life.table = table
        return {
          get known() {
            return table.known
          },
          now: () => table.now(),
          recent: () => (table.recent ?? table.now).call(table),
          latest: () => table.latest(),
          exchange: async (request) => {
            if (++this.commands > MOST_COMMANDS) throw new Error('a node asks again and again')
            life.atOnce = this.now === life.exchanges.at(-1)?.sent ? life.atOnce + 1 : 0
            if (life.atOnce > MOST_AT_ONCE) throw new Error('a node asks again and again at one moment')
            const exchange = { sent: this.now, replied: Infinity }
            if (request.operations.some(([what]) => what !== 'reset')) life.exchanges.push(exchange)
            const reply = await table.exchange(request)
            // One that came too late was not waited for.
            if (this.now - exchange.sent < TIMEOUT) exchange.replied = this.now
            life.heard = reply.now
            return reply
          },
        }
      },
      close: () => store.close(),
    }
  }

  /** Lives the history through. */
  async play(): Promise<void> {
    for (const step of this.history.steps) {
      if (step.wait > 0) await this.simulation.run(step.wait)
      this.act(step, this.players[step.node % this.players.length] as Player)
    }
    await this.simulation.run(this.history.interval)
  }

  private act(step: Step, player: Player): void {
    const { simulation } = this
    const { node } = player
    const stands = simulation.time <= player.pausedUntil
    switch (step.act) {
      case 'check':
        node.check(KEY, step.cost)
        break
      case 'burst':
        for (let check = 0; check < 6; check++) node.check(KEY, step.cost)
        break
      case 'flush':
        if (node.alive && !stands) node.limiter.flush().catch(() => {})
        break
      case 'refund':
        if (node.alive && !stands) this.refund(player, step.cost)
        break
      case 'reset':
        if (node.alive && !stands) this.verb('reset', 0, node.limiter.reset(KEY))
        break
      case 'pause':
      case 'suspend':
        if (!node.alive) break
        node.pause(step.ms, { suspended: step.act === 'suspend' })
        player.pausedUntil = Math.max(player.pausedUntil, simulation.time + step.ms)
        break
      case 'crash':
        node.crash()
        player.life.alive = false
        break
      case 'restart':
        node.crash()
        player.life.alive = false
        node.restart()
        player.pausedUntil = -Infinity
        break
      case 'join':
        if (this.players.length < 8) this.players.push(this.join(this.planOf(step)))
        break
      case 'switch':
        this.replace(step, player, stands)
        break
      case 'stall':
        simulation.server.stall(step.ms)
        break
      case 'away':
        simulation.server.goAway(step.ms)
        break
      case 'lose':
        simulation.server.loseData()
        this.lostAt = this.now
        break
    }
  }

  private planOf(step: Step): NodePlan {
    const { nodes } = this.history
    return nodes[step.plan % nodes.length] as NodePlan
  }

  /** Another node, perhaps of another mode, takes the place of one that closes. */
  private replace(step: Step, player: Player, stands: boolean): void {
    if (stands || !player.node.alive) return
    player.life.replaced = true
    player.life.leftInPeace = this.isWell
    player.node.limiter.close().catch(() => {})
    this.players[this.players.indexOf(player)] = this.join(this.planOf(step))
  }

  private refund(player: Player, cost: number): void {
    const { life, node } = player
    const left = this.refundable.get(life) ?? 0
    // What an earlier day has of it can't be given back in the next one.
    if (cost > left || this.history.endsSlice) return
    this.refundable.set(life, left - cost)
    this.verb('refund', cost, node.limiter.refund(KEY, cost))
  }

  private verb(what: Verb['what'], cost: number, done: Promise<boolean>): void {
    const verb: Verb = { what, cost, from: this.now, until: Infinity, known: false }
    this.verbs.push(verb)
    void done.then((known) => {
      verb.until = this.now
      verb.known = known
    })
  }

  /** Whether nothing has gone wrong so far that may keep a node from settling. */
  get isWell(): boolean {
    const { network, steps } = this.history
    if (network.requestLoss + network.replyLoss > 0 || network.latency + network.jitter > 10) return false
    return !steps.some(({ act }) => ['stall', 'away', 'lose', 'pause', 'suspend'].includes(act))
  }

  /**
   * The network and the store are well again, and every node that lives goes on, settles and closes.
   *
   * @returns what they then say to be pending
   */
  async settle(): Promise<number> {
    const { simulation, players } = this
    Object.assign(simulation.network, CALM)
    const standing = players.reduce((most, { pausedUntil }) => Math.max(most, pausedUntil), 0)
    await simulation.run(Math.max(0, standing - simulation.time) + LONGEST_OUTAGE)
    const living = players.filter(({ node }) => node.alive).map(({ node }) => node.limiter)
    let owing = living
    for (let tries = 0; owing.length > 0 && tries < LONGEST_PROBE / PROBED; tries++) {
      const flushed = await this.meanwhile(
        PROBED,
        owing.map((limiter) => limiter.flush()),
      )
      owing = owing.filter((_, place) => flushed[place]?.status === 'rejected')
    }
    const pending = living.reduce((sum, limiter) => sum + limiter.stats().pending, 0)
    await this.meanwhile(
      100,
      living.map((limiter) => limiter.close()),
    )
    return pending
  }

  private async meanwhile(ms: number, promises: Promise<void>[]): Promise<PromiseSettledResult<void>[]> {
    const all = Promise.allSettled(promises)
    await this.simulation.run(ms)
    return all
  }

  /** What the store counts of the key: quota that is booked is used. By a limit of the same window, and large. */
  async used(): Promise<number> {
    const limit = limitOf({ ...this.history, limit: LARGE })
    const node = this.simulation.addNode({
      limiter: (surroundings) => createLimiter({ name: 'api', limit, ...surroundings }),
    })
    const peek = node.limiter.peek(KEY)
    await this.simulation.run(10)
    const { allowed, remaining } = await peek
    return limit.limit - remaining - (allowed ? 1 : 0)
  }
}

function optionsOf({ mode }: NodePlan, history: History): Pick<LimiterOptions, 'mode' | 'sync'> {
  const { interval, maxOvershoot } = history
  switch (mode) {
    case 'hard':
      return { mode: 'hard' }
    case 'leased':
      return { mode: 'leased', sync: { interval } }
    case 'capped':
      return { mode: 'soft', sync: { interval, maxOvershoot } }
    case 'soft':
      return { mode: 'soft', sync: { interval } }
    case 'fixed':
      return { mode: 'soft', sync: { interval, early: false } }
  }
}
