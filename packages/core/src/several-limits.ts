import { combined } from './combined-decision.ts'
import { all, type Decider, type DeciderStats, type Earlier, sumOf } from './decider.ts'
import { type Decision, deniedDecision } from './decision.ts'
import { ConfigError, show } from './errors.ts'
import type { HardChecks } from './hard/hard-checks.ts'
import type { JointlyTaken } from './hard/joint-takes.ts'
import { type Taker, Takers } from './hard/takers.ts'
import { checkKey } from './key.ts'
import { type Asked, askedOf, type KeyedLimit } from './keyed-limit.ts'
import type { ScopeKeys } from './limit-parts.ts'
import type { LocalChecks } from './local/local-checks.ts'
import type { Settings } from './options.ts'
import type { SingleLimit } from './single-limit.ts'

/** Answers of the store that a check waits for: what one of its limits has booked, another one may refuse. */
const MOST_ROUNDS = 4

/** Several limits on one key, or on a key for each scope: all must allow a check, or nothing is taken. */
export class SeveralLimits<K extends string | ScopeKeys> implements Decider<K> {
  private readonly scopes: ReadonlySet<string | undefined>
  private readonly scoped: boolean
  private readonly takers: Takers
  private readonly underWay = new Set<Promise<Decision>>()

  constructor(
    private readonly limits: readonly KeyedLimit[],
    private readonly settings: Settings,
  ) {
    this.takers = new Takers(settings)
    this.scopes = new Set(limits.map(({ part }) => part.scope))
    this.scoped = !this.scopes.has(undefined)
  }

  checkKey(key: unknown): asserts key is K {
    if (!this.scoped) {
      checkKey(key)
      return
    }
    const names = [...this.scopes].join(', ')
    if (typeof key !== 'object' || key === null)
      throw new ConfigError(
        'ERR_KEY',
        `the key is ${show(key)}: give an object with a key for each of ${names}`,
      )
    let named = 0
    for (const [scope, its] of Object.entries(key)) {
      if (!this.scopes.has(scope))
        throw new ConfigError('ERR_KEY', `there is no scope ${show(scope)}: there are ${names}`)
      if (its === undefined) continue
      checkKey(its)
      named++
    }
    if (named === 0) throw new ConfigError('ERR_KEY', `the key names no scope: there are ${names}`)
  }

  check(key: K, cost: number): Decision | Promise<Decision> {
    const asked = askedOf(this.limits, key)
    if (this.settings.mode === 'hard') return this.takeEverywhere(asked, cost)
    const decision = this.attempt(asked, cost, false)
    return Array.isArray(decision) ? this.noted(this.wait(asked, cost, decision)) : decision
  }

  private noted(check: Promise<Decision>): Promise<Decision> {
    this.underWay.add(check)
    const ended = () => this.underWay.delete(check)
    check.then(ended, ended)
    return check
  }

  /** Resolves when the checks that wait for the store have their answers: what they admit is still to be settled. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.underWay)
  }

  checkSync(key: K, cost: number): Decision {
    const asked = askedOf(this.limits, key)
    const decisions = this.decideAll(asked, cost, (limit, its) => limit.checkSync(its, cost))
    return combined(asked.limits, decisions, cost)
  }

  /** Of each limit by itself; what some allow is taken back where another one refuses, or throws. */
  private decideAll(
    asked: Asked,
    cost: number,
    decide: (limit: SingleLimit, key: string) => Decision,
  ): Decision[] {
    const decisions: Decision[] = []
    try {
      for (const [place, limit] of asked.limits.entries())
        decisions.push(decide(limit, asked.keys[place] as string))
    } catch (error) {
      this.undoUnlessAll(asked, cost, [...decisions, undefined])
      throw error
    }
    this.undoUnlessAll(asked, cost, decisions)
    return decisions
  }

  /** In RAM, in one go; or which limits must hear from the store first. */
  private attempt(asked: Asked, cost: number, last: boolean): Decision | number[] {
    const decisions = this.decideAll(asked, cost, ({ local }, key) =>
      (local as LocalChecks).attempt(key, cost, last, true),
    )
    return unlessWaiting(asked, cost, decisions)
  }

  /** As `attempt`, taking nothing. */
  private look(asked: Asked, last: boolean, heard: boolean): Decision | number[] {
    const decisions = asked.limits.map(({ local }, place) =>
      (local as LocalChecks).look(asked.keys[place] as string, 1, last, heard),
    )
    return unlessWaiting(asked, 1, decisions)
  }

  private undoUnlessAll(
    { limits, keys }: Asked,
    cost: number,
    decisions: readonly (Decision | undefined)[],
  ): void {
    if (decisions.every((decision) => decision?.allowed)) return
    for (const [place, decision] of decisions.entries()) {
      if (!decision?.allowed) continue
      const { local } = limits[place] as SingleLimit
      local?.undo(keys[place] as string, cost, decision)
    }
  }

  private async wait(asked: Asked, cost: number, waiting: number[]): Promise<Decision> {
    const deadline = this.deadline
    let places = waiting
    for (let rounds = 0; rounds < MOST_ROUNDS; rounds++) {
      const last = await this.hear(asked, cost, places, deadline, true)
      const decision = this.attempt(asked, cost, last)
      if (!Array.isArray(decision)) return decision
      places = decision
    }
    return this.withoutMore(asked, cost)
  }

  private get deadline(): number {
    return this.settings.clock.monotonic() + this.settings.timeout
  }

  /** Has the store asked about some of the keys; resolves to whether it is of no use to ask again. */
  private async hear(
    { limits, keys }: Asked,
    cost: number,
    places: readonly number[],
    deadline: number,
    consume: boolean,
  ): Promise<boolean> {
    const heard = await Promise.all(
      places.map((place) => {
        const { local } = limits[place] as SingleLimit
        return (local as LocalChecks).heard(keys[place] as string, cost, deadline, consume)
      }),
    )
    return this.settings.clock.monotonic() >= deadline || heard.some(({ source }) => source === 'outage')
  }

  /** What each limit says now; where the store was heard and it is still not certain, what is left is booked for others. */
  private withoutMore(asked: Asked, cost: number): Decision {
    const decisions = this.decideAll(asked, cost, ({ local }, key) => {
      const decision = (local as LocalChecks).attempt(key, cost, false, true)
      return decision.reason === 'sync' ? deniedDecision(decision, 1) : decision
    })
    return combined(asked.limits, decisions, cost)
  }

  /** Where the limits lie on several servers and one refuses, what the others took goes back behind the answer. */
  private async takeEverywhere({ limits, keys }: Asked, cost: number): Promise<Decision> {
    const takers = this.takers.of(limits)
    const answers = await Promise.allSettled(
      takers.map(({ places, take }) =>
        take(
          places.map((place) => keys[place] as string),
          cost,
        ),
      ),
    )
    const failed = answers.find((answer) => answer.status === 'rejected')
    const taken = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined))
    if (!taken.every((its) => its !== undefined && isTaken(its))) {
      for (const [turn, its] of taken.entries()) {
        if (its === undefined || !isTaken(its)) continue
        for (const [at, place] of (takers[turn] as Taker).places.entries()) {
          const { hard } = limits[place] as SingleLimit
          const decision = its.decisions[at] as Decision
          ;(hard as HardChecks).giveBack(keys[place] as string, cost, { decision, heard: its.heard?.[at] })
        }
      }
    }
    if (failed !== undefined) throw failed.reason
    const decisions: Decision[] = []
    for (const [turn, { places }] of takers.entries())
      for (const [at, place] of places.entries()) decisions[place] = taken[turn]?.decisions[at] as Decision
    return combined(limits, decisions, cost)
  }

  /** The way of a check, with nothing taken. */
  async peek(key: K): Promise<Decision> {
    const asked = askedOf(this.limits, key)
    if (this.settings.mode === 'hard') {
      const { limits, keys } = asked
      const decisions = await Promise.all(limits.map((limit, place) => limit.peek(keys[place] as string)))
      return combined(limits, decisions, 1)
    }
    const deadline = this.deadline
    const everywhere = asked.keys.map((_, place) => place)
    let heard = false
    // A check that one limit refuses need not hear of the others: here it is told how each stands.
    let last = await this.hear(asked, 1, unknown(asked), deadline, false)
    for (let rounds = 1; ; rounds++) {
      const decision = this.look(asked, last, heard)
      if (!Array.isArray(decision)) return decision
      // Of all of them: what a check admits of one limit while it waits for another may bring news of it.
      last = (await this.hear(asked, 1, everywhere, deadline, false)) || rounds >= MOST_ROUNDS
      heard = true
    }
  }

  private async each(
    key: K,
    act: (limit: SingleLimit, key: string, place: number) => Promise<void>,
  ): Promise<void> {
    const { limits, keys } = askedOf(this.limits, key)
    await all(limits.map((limit, place) => act(limit, keys[place] as string, place)))
  }

  refund(key: K, cost: number, earlier?: Earlier): Promise<void> {
    return this.each(key, (limit, its, place) =>
      limit.refund(its, cost, earlier && { ...earlier, ...earlier.parts?.[place] }),
    )
  }

  charge(key: K, cost: number): Promise<void> {
    return this.each(key, (limit, its) => limit.charge(its, cost))
  }

  block(key: K, ms: number): Promise<void> {
    return this.each(key, (limit, its) => limit.block(its, ms))
  }

  reset(key: K): Promise<void> {
    return this.each(key, (limit, its) => limit.reset(its))
  }

  flush(): Promise<void> {
    return all(this.limits.map((limit) => limit.flush()))
  }

  async close(): Promise<void> {
    await Promise.all(this.limits.map((limit) => limit.close()))
  }

  stats(): DeciderStats {
    return sumOf(this.limits.map((limit) => limit.stats()))
  }
}

/** The limits that have never heard of their keys. */
function unknown({ limits, keys }: Asked): number[] {
  const isKnown = ({ local }: SingleLimit, place: number) =>
    (local as LocalChecks).knows(keys[place] as string)
  return limits.flatMap((limit, place) => (isKnown(limit, place) ? [] : [place]))
}

/** Where some limits must hear from the store first, and no other refuses: which. */
function unlessWaiting(asked: Asked, cost: number, decisions: readonly Decision[]): Decision | number[] {
  const waiting = decisions.flatMap(({ reason }, place) => (reason === 'sync' ? [place] : []))
  const isRefused = decisions.some(({ allowed, reason }) => !allowed && reason !== 'sync')
  return isRefused || waiting.length === 0 ? combined(asked.limits, decisions, cost) : waiting
}

function isTaken({ decisions }: JointlyTaken): boolean {
  return decisions.every(({ allowed }) => allowed)
}
