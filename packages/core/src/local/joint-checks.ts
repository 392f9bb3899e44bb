import { type Decision, deniedDecision, syncDecision } from '../decision.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import type { Holding } from './ledger.ts'
import type { LocalDecisions } from './local-decisions.ts'
import type { LocalKey } from './local-key.ts'
import type { Sync } from './sync.ts'
import type { WaitingChecks } from './waiting-checks.ts'

/** What one limit says of a check that others decide on, too, and what it holds for the check until they have. */
export interface Hold {
  readonly decision: Decision
  /** Whether the store was heard; otherwise there is none to ask. */
  readonly isHeard: boolean
  /** What is held: since `at`, in store time, with `beside` in use beside it. */
  readonly held?: {
    readonly local: LocalKey
    readonly holding: Holding
    readonly at: number
    readonly beside: number
  }
}

/** Cost that a limit was asked for before it is certain to be wanted. */
export interface Once {
  /** Takes it, if the limit allows that. */
  conclude(): Promise<Decision>
  /** It is not wanted. Resolves when nothing is held for it any more. */
  forgo(): Promise<void>
}

/** Decides for one limit on checks that others decide on, too: at once, or with cost held until all have answered. */
export class JointChecks {
  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly sync: Sync,
    private readonly decisions: LocalDecisions,
    private readonly waiting: WaitingChecks,
  ) {}

  /**
   * As `check`, for a decision on several limits: `sync` if the store must be heard first. What was admitted may be
   * undone before anything else happens.
   */
  attempt(key: string, cost: number): Decision {
    return this.decidePart(key, cost, false, true)
  }

  /** As `attempt`, for a check that does not wait. */
  attemptSync(key: string, cost: number): Decision {
    const local = this.decisions.keyOf(key)
    return local === undefined
      ? this.decisions.outageDecision(key, cost, true)
      : this.decisions.decide(local, cost, true, false)
  }

  /**
   * No limit has refused a check that does not wait: the store is asked about what only it could say.
   *
   * @param asks whether this limit is one that only the store could tell of
   */
  comesAgain(key: string, cost: number, asks: boolean): void {
    const local = this.sync.keys.find(key)
    if (local === undefined) return
    if (asks) this.decisions.askFor(local, cost)
    local.comesAgain(cost)
  }

  /** A check waits. What `checkSync` has offered before is no demand a second time. */
  offeredOnce(key: string, cost: number): void {
    this.sync.keys.find(key)?.offeredOnce(cost)
  }

  /** Notes cost offered here in a decision on several limits. */
  offer(key: string, cost: number): void {
    const local = this.sync.keys.find(key)
    if (local !== undefined) local.offer(cost)
  }

  /** @param last never `sync`: the store was asked in vain */
  private decidePart(key: string, cost: number, last: boolean, consume: boolean): Decision {
    const local = this.decisions.keyOf(key)
    if (local === undefined) return this.decisions.outageDecision(key, cost, consume)
    const decision = this.decisions.decideAtOnce(local, cost, consume, !last)
    if (decision !== undefined) return decision
    // A node that closes asks for nothing more.
    if (last || this.sync.pacing.closing) return this.decisions.unanswered(local, cost, consume, undefined)
    const { limit } = this.settings
    return syncDecision(limit, limit.take(local.state, this.link.table.now(), cost, 'local', false), cost)
  }

  /**
   * Holds cost for a decision on several limits, if this one would admit it: at once, or with the store's answer to one
   * question, or at `deadline` without one.
   */
  hold(key: string, cost: number, deadline: number): Hold | Promise<Hold> {
    const local = this.decisions.keyOf(key)
    if (local === undefined)
      return { decision: this.decisions.outageDecision(key, cost, false), isHeard: false }
    const decision = this.decisions.decideAtOnce(local, cost, true, true)
    if (decision !== undefined) return this.holding(local, cost, decision, local.known)
    return new Promise((resolve, reject) => {
      const settle = (decision: Decision, unheard = false) =>
        resolve(this.holding(local, cost, decision, !unheard))
      this.waiting.waitFor(local, { cost, consume: true, deadline, isPart: true, resolve: settle, reject })
    })
  }

  /** Holds what was admitted just now; undoes it instead if the outage rule, or a key not heard of yet, let it pass. */
  private holding(local: LocalKey, cost: number, decision: Decision, isHeard: boolean): Hold {
    if (!decision.allowed) return { decision, isHeard }
    if (decision.source === 'outage' || !local.known) {
      this.decisions.undo(local.key, cost, decision)
      return { decision, isHeard }
    }
    const { limit } = this.settings
    const beside = Math.max(0, decision.limit - decision.remaining - cost - 1)
    // A log must find it again, even if an earlier reading of the clock was used: it is the newest entry.
    const at =
      limit.algorithm === 'sliding-log' ? limit.endsAt(local.state) - limit.window : this.link.table.now()
    return { decision, isHeard, held: { local, holding: local.hold(cost), at, beside } }
  }

  /** Makes what was held available to others, or to `conclude`; returns whether it was still held. */
  letGo(cost: number, { held }: Hold): boolean {
    if (held === undefined) return false
    const { local, holding, at, beside } = held
    const wentBack = local.letGo(holding, this.link.table.now(), cost, at, beside)
    // A key that was pushed out meanwhile was kept only for what was held: this takes it back.
    this.sync.keys.find(local.key)
    return wentBack
  }

  /** Another limit refused the check: a soft node gives back what was booked for it, since it counts on its share. */
  forgo(key: string, cost: number): void {
    const local = this.settings.strict ? undefined : this.sync.keys.find(key)
    if (local === undefined) return
    local.returnBooked(cost)
    if (local.owes) this.sync.outbox.queue(local)
  }

  /**
   * All have decided. If the check is refused, what was booked for it goes back; otherwise what `letGo` let go, and
   * this limit took in the same turn, counts as never let go.
   */
  decided(
    key: string,
    cost: number,
    { held }: Hold,
    wentBack: boolean,
    { source }: Decision,
    isRefused: boolean,
  ): void {
    if (isRefused) this.forgo(key, cost)
    else if (wentBack && source === 'local') held?.local.tookBack(cost)
  }

  /** Decides, once the other limits were heard, too, and what was held is let go. Never `sync`. */
  conclude(key: string, cost: number, { isHeard }: Hold): Decision {
    const decision = this.decidePart(key, cost, !isHeard, true)
    return decision.reason === 'sync' ? this.withoutMore(key, decision, cost) : decision
  }

  /** The store was heard, and it is still not certain: what is left is booked for others. */
  private withoutMore(key: string, decision: Decision, cost: number): Decision {
    const local = this.sync.keys.find(key)
    if (!local?.known) return deniedDecision(decision, 1)
    const { limit, strict } = this.settings
    const now = this.link.table.now()
    // A soft node that was alone so far asked for nothing, and goes by what it has heard.
    if (!strict && local.pace.asked === 0)
      return this.decisions.owed(local, this.decisions.taken(limit, local, now, cost, true))
    const wouldBe = limit.take(local.state, now, cost, 'local', false)
    return wouldBe.allowed
      ? this.decisions.bookedElsewhere(local, wouldBe, now, cost)
      : this.decisions.owed(local, wouldBe)
  }

  /** As `check`, with at most one answer of the store. */
  checkOnce(key: string, cost: number): Decision | Promise<Decision> {
    const decision = this.attempt(key, cost)
    this.offer(key, cost)
    if (decision.reason !== 'sync') return decision
    this.offeredOnce(key, cost)
    return this.once(key, cost).conclude()
  }

  /** Asks at once for cost that is decided on later, and holds it until then. One of the two methods must be called. */
  once(key: string, cost: number): Once {
    const { clock, timeout } = this.settings
    const asked = (async () => this.hold(key, cost, clock.monotonic() + timeout))()
    // It may fail before its answer is wanted, which concerns nobody yet.
    asked.catch(() => {})
    return {
      conclude: async () => {
        const hold = await asked
        const wentBack = this.letGo(cost, hold)
        const decision = this.conclude(key, cost, hold)
        this.decided(key, cost, hold, wentBack, decision, !decision.allowed)
        return decision
      },
      // A limit that did not answer holds nothing.
      forgo: () =>
        asked.then(
          (hold) => {
            this.letGo(cost, hold)
            this.forgo(key, cost)
          },
          () => {},
        ),
    }
  }

  /** Whether a decision on the key need not wait for the store's first answer about it. */
  knows(key: string): boolean {
    return this.link.away || (this.sync.keys.find(key)?.known ?? this.decisions.refusesNew)
  }

  /** As `attempt`, but takes nothing and asks for nothing; never `sync` once the store was heard. */
  look(key: string, cost: number, last: boolean, heard: boolean): Decision {
    const decision = this.decidePart(key, cost, last, false)
    if (decision.reason !== 'sync' || !heard) return decision
    const local = this.sync.keys.find(key)
    return local?.known ? this.decisions.foreseen(local, cost) : deniedDecision(decision, 1)
  }

  /**
   * Has the store asked about a key; resolves, once it has answered or `deadline` has passed, to what a peek would be
   * told.
   */
  heard(key: string, cost: number, deadline: number): Promise<Decision> {
    const local = this.decisions.keyOf(key)
    if (local === undefined) return Promise.resolve(this.decisions.outageDecision(key, cost, false))
    return this.waiting.wait(local, cost, false, deadline)
  }
}
