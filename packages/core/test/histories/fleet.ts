import type { Algorithm } from '../../src/algorithms/algorithm.ts'
import type { Decision } from '../../src/decision.ts'
import { createLimiter, type SoftLimiter } from '../../src/limiter.ts'
import type { LimiterOptions } from '../../src/options.ts'
import { payerOf } from '../../src/payer.ts'
import type { JointTable, Operation, Reply, Request, Store, TableName } from '../../src/store/store.ts'
import { CALM } from '../../src/testing/network.ts'
import { type SimulatedNode, Simulation, type Surroundings } from '../../src/testing/simulation.ts'
import { type Asked, Limited } from './asked.ts'
import { Claims, MAX_WAITING } from './claims.ts'
import { type Admission, type Count, type Life, NodeLife, type Verb } from './count.ts'
import type { Crowd, History, NodePlan, Step } from './history.ts'

/** Commands in a history at most: more tell of a node that asks again and again without an end. */
const MOST_COMMANDS = 20_000

/** Commands of a node at one moment, one after the other, at most: on a network without latency no time passes between them. */
const MOST_AT_ONCE = 60

/** Milliseconds for which a node surely waits for an answer, whose clock may run fast. */
const TIMEOUT = 99

/** Milliseconds for which a step can keep the store away, and nodes from asking it again after that. */
const LONGEST_OUTAGE = 1500
const LONGEST_PROBE = 12_000
const PROBED = 1000

/** Milliseconds between two checks of a load, and for which it lasts. */
const LEAST_GAP = 3
const MOST_GAP = 12
const LONGEST_LOAD = 700

/** Milliseconds before the end of a window at which load comes that goes on for as long after it. */
const BEFORE_END = 350

/** Operations that tell the store of all that a node has admitted of a key. */
const TELLING: readonly Operation[0][] = ['settle', 'raise', 'restore']

/** What the keys of a table saw of a node's life. */
type Lives = ReadonlyMap<string, Life>

export interface Player {
  node: SimulatedNode
  life: NodeLife
  plan: NodePlan
  /** Simulated time until which it stands still. */
  pausedUntil: number
}

/** A fleet of real limiters in the simulator, and all that an observer saw of it. */
export class Fleet {
  readonly simulation: Simulation
  readonly lives: NodeLife[] = []
  private readonly limited: Limited
  private readonly claims = new Claims(this)
  /** When the store lost its data last. */
  lostAt = -Infinity
  /** What can never be right. */
  readonly wrongs: string[] = []
  private commands = 0
  private readonly players: Player[] = []

  constructor(readonly history: History) {
    this.limited = new Limited(this, history)
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

  /** What the limits of the history count, key by key. */
  get counts(): readonly Count[] {
    return this.limited.counts
  }

  private join(plan: NodePlan): Player {
    const player: Partial<Player> = { plan, pausedUntil: -Infinity }
    player.node = this.simulation.addNode({
      limiter: (surroundings) => {
        const life = new NodeLife(plan, this.now)
        for (const count of this.counts) count.life(life)
        this.lives.push(life)
        player.life = life
        return this.limiter(life, surroundings)
      },
      waits: plan.waits || plan.mode === 'hard' || this.mustWait(plan),
      skew: { wall: plan.wall, rate: plan.rate },
    })
    return player as Player
  }

  /** Of a key that was pushed out a soft `checkSync` knows nothing, and lets it pass: the bound is that of `check`. */
  private mustWait({ mode }: NodePlan): boolean {
    return this.history.several?.crowd !== undefined && (mode === 'soft' || mode === 'fixed')
  }

  private limiter(node: NodeLife, { clock, random, store }: Surroundings): SoftLimiter {
    const { options, asked } = this.limited
    const { maxKeys, dryRun }: Crowd = this.history.several?.crowd ?? { maxKeys: 4, dryRun: false }
    const limiter = createLimiter({
      ...{ name: 'api', maxKeys, dryRun, maxWaiting: MAX_WAITING, clock, random },
      ...options,
      ...optionsOf(node.plan, this.history),
      store: this.watched(node, store),
    } as LimiterOptions<'soft'>)
    const { check, checkSync } = limiter
    const given = ({ plan }: Asked, cost: number) =>
      plan === undefined ? { cost } : { cost, limit: plan as [] }
    // The simulation's keys are places among what may be asked.
    return Object.assign(limiter, {
      check: async (place: string, { cost }: { cost: number }) => {
        const its = asked[Number(place)] as Asked
        const note = this.noting(node, its, cost)
        return note(await check.call(limiter, its.keys as string, given(its, cost)))
      },
      ...(checkSync !== undefined && {
        checkSync: (place: string, { cost }: { cost: number }) => {
          const its = asked[Number(place)] as Asked
          const note = this.noting(node, its, cost)
          return note(checkSync.call(limiter, its.keys as string, given(its, cost)))
        },
      }),
    })
  }

  /** Notes what is offered; returns how to note what is decided, or was some time ago. */
  noting(
    node: NodeLife,
    { counts, reserve }: Asked,
    cost: number,
  ): (decision: Decision, ago?: number) => Decision {
    const offers = [...counts, ...(reserve === undefined ? [] : [reserve])].map((count) => {
      const offer = { at: this.now, cost, until: this.now }
      const life = count.life(node)
      life.offered.push(offer)
      life.looks()
      return offer
    })
    return (decision, ago = 0) => {
      if (!node.alive) return decision
      // A check that waits for one limit is offered to the others for as long.
      if (this.history.several !== undefined) for (const offer of offers) offer.until = this.now
      if (decision.remaining < 0) this.wrongs.push('a decision said that less than nothing is left')
      if (!decision.allowed || decision.wouldDeny) return decision
      for (const count of decision.spike ? [reserve as Count] : counts) {
        const life = count.life(node)
        life.told += cost
        if (node.plan.mode === 'hard') continue
        life.admits(this.now, cost, ago)
        life.refundable += cost
      }
      return decision
    }
  }

  private watched(node: NodeLife, store: Store): Store {
    const { together = false } = this.history.several ?? {}
    return {
      open: (name: string, limit: Algorithm) => {
        const table = store.open(name, limit)
        const lives = this.livesOf(node, name, limit)
        for (const life of lives.values()) life.table = table
        return {
          ...(together && { place: table.place as string }),
          get known() {
            return table.known
          },
          now: () => table.now(),
          latest: () => table.latest(),
          exchange: async (request) => {
            const send = async () => [await table.exchange(request)]
            const [reply] = await this.exchange([request], [lives], false, send)
            return reply as Reply
          },
        }
      },
      join: (tables: readonly TableName[]) => {
        const joint = store.join?.(tables) as JointTable
        const lives = tables.map(({ table, limit }) => this.livesOf(node, table, limit))
        return {
          exchange: (requests, reserve) =>
            this.exchange(requests, lives, reserve, () => joint.exchange(requests, reserve)),
        }
      },
      close: () => store.close(),
    }
  }

  /** By key. */
  private livesOf(node: NodeLife, table: string, limit: Algorithm): Lives {
    const lives = new Map<string, Life>()
    for (const count of this.counts) if (count.isOf(table, limit)) lives.set(count.key, count.life(node))
    return lives
  }

  /** A command, of one table or of several. */
  private async exchange(
    requests: readonly Request[],
    lives: readonly Lives[],
    reserve: boolean,
    send: () => Promise<readonly Reply[]>,
  ): Promise<readonly Reply[]> {
    if (++this.commands > MOST_COMMANDS) throw new Error('a node asks again and again')
    const exchange = { sent: this.now, replied: Infinity }
    const asking = new Set<Life>()
    for (const [at, { operations }] of requests.entries())
      for (const [what, key] of operations) {
        const life = lives[at]?.get(key)
        // The answers to others say nothing of what the node has counted, and do not tell the store of it.
        if (life !== undefined && what !== 'reset' && what !== 'charge') asking.add(life)
        if (TELLING.includes(what)) life?.flushes.push(exchange)
      }
    for (const life of asking) {
      life.atOnce = this.now === life.exchanges.at(-1)?.sent ? life.atOnce + 1 : 0
      if (life.atOnce > MOST_AT_ONCE) throw new Error('a node asks again and again at one moment')
      life.exchanges.push(exchange)
      life.looks()
    }
    for (const [at, { operations }] of requests.entries())
      for (const operation of operations) this.sending(operation, lives[at]?.get(operation[1]))
    const replies = await send()
    for (const life of asking) life.looks()
    // One that came too late was not waited for: what it tells of stays uncertain.
    const isLate = this.now - exchange.sent >= TIMEOUT
    if (!isLate) exchange.replied = this.now
    for (const [at, { operations }] of requests.entries())
      for (const [place, operation] of operations.entries()) {
        const its = replies.map(({ results }) => results[place])
        const { now } = replies[at] as Reply
        const life = lives[at]?.get(operation[1])
        if (isLate) {
          if (life?.plan.mode === 'hard')
            life.late.push(...admittedBy(operation, its[at], paid(its, at, reserve), now))
          continue
        }
        if (life !== undefined && operation[0] === 'refund' && operation[3] !== undefined)
          life.held += now - operation[3] + 1
        if (!this.claims.settled.has(operation))
          answered(operation, its[at], paid(its, at, reserve), now, life)
      }
    return replies
  }

  /** A hard node asks for something: the store may do it, and nothing be heard of it. */
  private sending(operation: Operation, life: Life | undefined): void {
    if (life?.plan.mode !== 'hard') return
    if (operation[0] === 'take') {
      const [, , ...costs] = operation
      life.uncertain += sum(costs)
      life.asked.push({ at: this.now, cost: sum(costs) })
    } else if (operation[0] === 'refund' && operation[3] !== undefined) {
      const [, , cost, at] = operation
      if (this.claims.settling) {
        this.claims.settled.add(operation)
        return
      }
      const taken = this.claims.takenAt(life, cost, at)
      life.forget(taken)
      if (taken.length === 0 && life.uncertain < cost)
        this.wrongs.push('a node gave back what it had not taken')
      life.back.push({ at, cost })
      life.refundable -= cost
      life.uncertain += cost
    }
  }

  /** Lives the history through. */
  async play(): Promise<void> {
    const { window, endsUnderLoad = false, rush = 0 } = this.history
    if (endsUnderLoad) {
      const rest = window - (this.history.epoch % window)
      this.simulation.at(rest - BEFORE_END, () =>
        this.load('0', { act: 'chatter', ms: 2 * BEFORE_END, node: 0 }),
      )
    }
    if (rush > 0) for (const player of this.players) this.burst(player, '0', rush)
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
    const { asked } = this.limited
    const key = (step.key ?? 0) % asked.length
    const place = String(key)
    const its = asked[key] as Asked
    switch (step.act) {
      case 'check':
        node.check(place, step.cost)
        break
      case 'burst':
        this.burst(player, place, step.cost)
        break
      case 'load':
      case 'chatter':
        this.load(place, step)
        break
      case 'flush':
        this.flush(player)
        break
      case 'refund':
        if (node.alive && !stands) this.refund(player, its, step.cost)
        break
      case 'penalty':
        // Nor is what an earlier day has counted in the next one.
        if (node.alive && !stands && !this.history.endsSlice)
          this.verb('penalty', its.counts, step.cost, node.limiter.penalty(its.keys as string, step.cost))
        break
      case 'glance':
        if (node.alive && !stands && !this.mustWait(player.plan)) this.glance(player, key, step.cost)
        break
      case 'acquire':
        if (node.alive && !stands) this.claims.acquire(player, its, step)
        break
      case 'reserve':
        if (node.alive && !stands) this.claims.reserve(player, its, step)
        break
      case 'reset':
        if (node.alive && !stands)
          this.verb(
            'reset',
            [...its.counts, ...(its.reserve ? [its.reserve] : [])],
            0,
            node.limiter.reset(its.keys as string),
          )
        break
      case 'set':
        if (node.alive && !stands)
          this.limited.set(1 + (step.ms % 60), (limits) => node.limiter.setLimit(limits as []))
        break
      case 'pause':
      case 'suspend':
        if (!node.alive) break
        node.pause(step.ms, { suspended: step.act === 'suspend' })
        player.pausedUntil = Math.max(player.pausedUntil, simulation.time + step.ms)
        break
      case 'crash':
        // With what it has just admitted; and the others are asked for all that is left.
        if (step.ms > 0) this.burst(player, place, step.cost)
        node.crash()
        player.life.alive = false
        if (step.ms > 0) this.load(place, step)
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

  private burst({ node }: Player, place: string, cost: number): void {
    for (let check = 0; check < 6; check++) node.check(place, cost)
  }

  /** One key after the other is looked for in RAM; that the store would have to be asked is an answer. */
  private glance({ node }: Player, key: number, cost: number): void {
    const { length } = this.limited.asked
    for (let next = 0; next < length; next++)
      (node.limiter as SoftLimiter).checkSync?.(String((key + next) % length), { cost })
  }

  private flush({ node, pausedUntil }: Player): void {
    if (node.alive && this.simulation.time > pausedUntil) node.limiter.flush().catch(() => {})
  }

  /** All nodes in turn are asked for more than the limit frees, for as long as a step may say. */
  private load(place: string, { act, ms, node }: Pick<Step, 'act' | 'ms' | 'node'>): void {
    const { simulation } = this
    const { window, limit } = this.history
    const gap = Math.min(Math.max(LEAST_GAP, window / limit / 2), MOST_GAP)
    const until = simulation.time + Math.min(ms, LONGEST_LOAD)
    for (let at = simulation.time, turn = node; at <= until; at += gap, turn++)
      simulation.at(at, () => {
        const player = this.players[turn % this.players.length] as Player
        player.node.check(place)
        if (act === 'chatter') this.flush(player)
      })
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

  private refund({ life, node }: Player, its: Asked, cost: number): void {
    const lives = its.counts.map((count) => count.life(life))
    // What an earlier day has of it can't be given back in the next one.
    if (lives.some(({ refundable }) => cost > refundable) || this.history.endsSlice) return
    for (const its of lives) its.refundable -= cost
    this.verb('refund', its.counts, cost, node.limiter.refund(its.keys as string, cost))
  }

  verb(what: Verb['what'], counts: readonly Count[], cost: number, done: Promise<boolean>): void {
    for (const count of counts) {
      const verb: Verb = { what, cost, from: this.now, until: Infinity, known: false }
      count.verbs.push(verb)
      void done.then((known) => {
        verb.until = this.now
        verb.known = known
      })
    }
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
    this.claims.over()
    return pending
  }

  private async meanwhile(ms: number, promises: Promise<void>[]): Promise<PromiseSettledResult<void>[]> {
    const all = Promise.allSettled(promises)
    await this.simulation.run(ms)
    return all
  }
}

/**
 * Whether each cost of a take was taken of the table at `at`, as those answers say that came together: of the limits
 * where all allow it, or of the reserve.
 */
function paid(answers: readonly Reply['results'][number][], at: number, reserve: boolean): boolean[] {
  const [first] = answers
  if (!Array.isArray(first)) return []
  return first.map((_, turn) => {
    const decisions = answers.map((answer) => (answer as readonly Decision[])[turn] as Decision)
    const payer = payerOf(
      reserve ? decisions.slice(0, -1) : decisions,
      reserve ? decisions.at(-1) : undefined,
    )
    return payer === (reserve && at === decisions.length - 1 ? 'reserve' : 'limits')
  })
}

/** What a hard node admits is what the store says it took, and did not have to give back. */
function answered(
  operation: Operation,
  result: Reply['results'][number],
  taken: readonly boolean[],
  now: number,
  life: Life | undefined,
): void {
  if (life?.plan.mode !== 'hard') return
  if (operation[0] === 'take') {
    const [, , ...costs] = operation
    life.uncertain -= sum(costs)
    const admissions = admittedBy(operation, result, taken, now)
    life.admitted.push(...admissions)
    life.refundable += sum(admissions.map(({ cost }) => cost))
  } else if (operation[0] === 'refund' && operation[3] !== undefined) life.uncertain -= operation[2]
}

/** What of a take's costs was taken; of anything else nothing. */
function admittedBy(
  operation: Operation,
  result: Reply['results'][number],
  taken: readonly boolean[],
  now: number,
): Admission[] {
  if (operation[0] !== 'take') return []
  const [, , ...costs] = operation
  return costs.flatMap((cost, turn) => {
    if (!taken[turn]) return []
    const { resetAfterMs } = (result as readonly Decision[])[turn] as Decision
    return [{ at: now, cost, believed: now, furthest: now, until: now + resetAfterMs }]
  })
}

function sum(costs: readonly number[]): number {
  return costs.reduce((all, cost) => all + cost, 0)
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
