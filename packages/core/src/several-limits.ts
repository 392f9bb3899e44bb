import { combined } from './combined-decision.ts'
import { type Decider, type DeciderStats, type Earlier, sumOf, type Taken } from './decider.ts'
import type { Decision, DecisionPart } from './decision.ts'
import { ConfigError, show } from './errors.ts'
import type { JointlyTaken } from './hard/joint-takes.ts'
import { peekEverywhere, receiptsOf, takeEverywhere } from './hard/take-everywhere.ts'
import { Takers } from './hard/takers.ts'
import { checkKey } from './key.ts'
import { type Asked, askedOf, type KeyedLimit } from './keyed-limit.ts'
import type { ScopeKeys } from './limit-parts.ts'
import type { Hold, JointChecks } from './local/joint-checks.ts'
import type { Settings } from './options.ts'
import { ReadyLimits } from './ready-limits.ts'
import type { SingleLimit } from './single-limit.ts'
import { all, UnderWay } from './under-way.ts'

/** Several limits on one key, or on a key for each scope: all must allow a check, or nothing is taken. */
export class SeveralLimits<K extends string | ScopeKeys> implements Decider<K> {
  private readonly scopes: ReadonlySet<string | undefined>
  private readonly scoped: boolean
  private readonly ready: ReadyLimits | undefined
  private readonly takers: Takers
  private readonly underWay = new UnderWay()

  constructor(
    private readonly limits: readonly KeyedLimit[],
    private readonly settings: Settings,
  ) {
    this.takers = new Takers(settings)
    this.scopes = new Set(limits.map(({ part }) => part.scope))
    this.scoped = !this.scopes.has(undefined)
    if (settings.mode !== 'hard' && !limits.some(isLog)) this.ready = new ReadyLimits(limits)
  }

  checkKey(key: unknown): asserts key is K {
    if (!this.scoped) {
      checkKey(key)
      return
    }
    if (typeof key !== 'object' || key === null)
      throw new ConfigError(
        'ERR_KEY',
        `the key is ${show(key)}: give an object with a key for each of ${this.scopeNames}`,
      )
    let named = 0
    for (const [scope, its] of Object.entries(key)) {
      if (!this.scopes.has(scope))
        throw new ConfigError('ERR_KEY', `there is no scope ${show(scope)}: there are ${this.scopeNames}`)
      if (its === undefined) continue
      checkKey(its, scope)
      named++
    }
    if (named === 0) throw new ConfigError('ERR_KEY', `the key names no scope: there are ${this.scopeNames}`)
  }

  /** For messages only: a check builds no text. */
  private get scopeNames(): string {
    return [...this.scopes].join(', ')
  }

  check(key: K, cost: number): Decision | Promise<Decision> {
    const asked = askedOf(this.limits, key)
    if (this.settings.mode === 'hard')
      return this.takeHard(asked, cost).then(({ decisions }) => combined(asked.limits, decisions, cost))
    const decisions = this.attempt(asked, cost, (joint, its) => joint.attempt(its, cost))
    if (!mustWait(decisions)) return combined(asked.limits, decisions, cost)
    for (const [place, { joint }] of asked.limits.entries())
      joint?.offeredOnce(asked.keys[place] as string, cost)
    return this.underWay.add(this.wait(asked, cost))
  }

  private takeHard({ limits, keys }: Asked, cost: number): Promise<JointlyTaken> {
    const takers = this.takers.of(limits)
    const taken = takeEverywhere(takers, limits, keys, cost, false)
    // With a single taker, nothing has to go back.
    return takers.length > 1 ? this.underWay.add(taken) : taken
  }

  async take(key: K, cost: number): Promise<Taken> {
    const asked = askedOf(this.limits, key)
    const { limits, keys } = asked
    if (this.settings.mode !== 'hard') {
      const receipts = limits.map((limit, place) => limit.receipt(keys[place] as string, cost))
      const decision = await this.check(key, cost)
      const parts = decision.parts as readonly DecisionPart[]
      return { decision, receipts: receipts.map((of, place) => of(parts[place] as DecisionPart)) }
    }
    const taken = await this.takeHard(asked, cost)
    return {
      decision: combined(limits, taken.decisions, cost),
      receipts: receiptsOf(taken, limits, keys, cost),
    }
  }

  /**
   * Resolves once the checks that wait for the store have their answers: what they admit, or give back, is still to be
   * settled.
   */
  async idle(): Promise<void> {
    await this.takers.idle()
    await this.underWay.idle()
  }

  checkSync(key: K, cost: number): Decision {
    const asked = askedOf(this.limits, key)
    const decisions = this.attempt(asked, cost, (joint, its) => joint.attemptSync(its, cost))
    // If one limit refuses, nobody would take what is booked for the check, and others would be refused for it.
    if (mustWait(decisions))
      for (const [place, { reason }] of decisions.entries())
        asked.limits[place]?.joint?.comesAgain(asked.keys[place] as string, cost, reason === 'sync')
    return combined(asked.limits, decisions, cost)
  }

  /** Decides by what is known here; notes what was asked for, and which checks to come may take the short path. */
  private attempt(
    asked: Asked,
    cost: number,
    decide: (joint: JointChecks, key: string) => Decision,
  ): Decision[] {
    const decisions = this.decideAll(asked, cost, ({ joint }, key) => decide(joint as JointChecks, key))
    this.offer(asked, cost, decisions)
    if (cost === 1) this.makeReady(asked, decisions)
    return decisions
  }

  /** Whether any checks may take the short path. */
  get mayBeReady(): boolean {
    return this.ready !== undefined
  }

  /** Decides a check of cost 1, if the rows of its keys suffice. Undefined if not: then nothing has happened. */
  checkReady(key: K): Decision | undefined {
    this.checkKey(key)
    return this.ready?.check(key)
  }

  /** Notes what was just admitted, or taken back: the rows may suffice for the checks to come. */
  private makeReady({ limits, keys }: Asked, decisions: readonly Decision[]): void {
    if (this.ready === undefined) return
    for (const [place, { local }] of limits.entries())
      if (decisions[place]?.allowed) local?.decisions.makeReady(keys[place] as string)
  }

  /** Asks each limit by itself; what some allow is taken back if another one refuses, or throws. */
  private decideAll(
    asked: Asked,
    cost: number,
    decide: (limit: SingleLimit, key: string, place: number) => Decision,
  ): Decision[] {
    const decisions: Decision[] = []
    try {
      for (const [place, limit] of asked.limits.entries())
        decisions.push(decide(limit, asked.keys[place] as string, place))
    } catch (error) {
      this.undoUnlessAll(asked, cost, [...decisions, undefined])
      throw error
    }
    this.undoUnlessAll(asked, cost, decisions)
    return decisions
  }

  /** A check that is refused counts as demand only of the limits that refuse it. */
  private offer({ limits, keys }: Asked, cost: number, decisions: readonly Decision[]): void {
    const refused = decisions.some(isRefused)
    for (const [place, { joint }] of limits.entries())
      if (!refused || isRefused(decisions[place] as Decision)) joint?.offer(keys[place] as string, cost)
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
      local?.decisions.undo(keys[place] as string, cost, decision)
    }
  }

  /**
   * Waits for the store's answer on each limit that needs it: all are asked at the same time, once, and each holds what
   * it has for the check until all have answered. So none loses it meanwhile; then the check is decided.
   */
  private async wait(asked: Asked, cost: number): Promise<Decision> {
    const { limits, keys } = asked
    const { deadline } = this
    const holds = await Promise.allSettled(
      limits.map(async ({ joint }, place) =>
        (joint as JointChecks).hold(keys[place] as string, cost, deadline),
      ),
    )
    const wentBack = holds.map((hold, place) => {
      const { joint } = limits[place] as SingleLimit
      return hold.status === 'fulfilled' && (joint as JointChecks).letGo(cost, hold.value)
    })
    const failed = holds.find((hold) => hold.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const decisions = this.decideAll(asked, cost, ({ joint }, key, place) => {
      const { value } = holds[place] as PromiseFulfilledResult<Hold>
      return (joint as JointChecks).conclude(key, cost, value)
    })
    const refused = decisions.some(isRefused)
    for (const [place, decision] of decisions.entries()) {
      const { joint } = limits[place] as SingleLimit
      const { value } = holds[place] as PromiseFulfilledResult<Hold>
      const key = keys[place] as string
      joint?.decided(key, cost, value, wentBack[place] as boolean, decision, refused)
    }
    return combined(limits, decisions, cost)
  }

  private get deadline(): number {
    return this.settings.clock.monotonic() + this.settings.timeout
  }

  /** Has the store asked about some of the keys; resolves to whether it did not answer. */
  private async hear({ limits, keys }: Asked, places: readonly number[], deadline: number): Promise<boolean> {
    const heard = await Promise.all(
      places.map((place) => {
        const { joint } = limits[place] as SingleLimit
        return (joint as JointChecks).heard(keys[place] as string, 1, deadline)
      }),
    )
    return this.settings.clock.monotonic() >= deadline || heard.some(({ source }) => source === 'outage')
  }

  /** Goes the way of a check, but takes nothing. */
  async peek(key: K): Promise<Decision> {
    const asked = askedOf(this.limits, key)
    if (this.settings.mode === 'hard') {
      const { limits, keys } = asked
      return combined(limits, await peekEverywhere(this.takers.of(limits), keys), 1)
    }
    // A check that one limit refuses need not hear of the others; a peek tells how each stands.
    const unheard = unknown(asked)
    const decisions = look(asked, false, false)
    const waits = mustWait(decisions)
    if (unheard.length === 0 && !waits) return combined(asked.limits, decisions, 1)
    // About all of them: while a check waits for one limit, what it takes of another may bring news of that.
    const places = waits ? asked.keys.map((_, place) => place) : unheard
    const last = await this.hear(asked, places, this.deadline)
    return combined(asked.limits, look(asked, last, true), 1)
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
      limit.refund(
        its,
        cost,
        earlier && { ...earlier, ...earlier.parts?.[place], receipts: [earlier.receipts[place]] },
      ),
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

/** The places of the limits that have never heard of their keys. */
function unknown({ limits, keys }: Asked): number[] {
  const isKnown = ({ joint }: SingleLimit, place: number) =>
    (joint as JointChecks).knows(keys[place] as string)
  return limits.flatMap((limit, place) => (isKnown(limit, place) ? [] : [place]))
}

/** As a check's attempt, taking nothing. */
function look({ limits, keys }: Asked, last: boolean, heard: boolean): Decision[] {
  return limits.map(({ joint }, place) => (joint as JointChecks).look(keys[place] as string, 1, last, heard))
}

/** Whether some limit must hear from the store first, and no other refuses. */
function mustWait(decisions: readonly Decision[]): boolean {
  return decisions.some(({ reason }) => reason === 'sync') && !decisions.some(isRefused)
}

/** The rows of a log's keys never suffice. */
function isLog({ limit }: KeyedLimit): boolean {
  return limit.algorithm === 'sliding-log'
}

function isRefused({ allowed, reason }: Decision): boolean {
  return !allowed && reason !== 'sync'
}
