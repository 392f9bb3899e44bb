import { type Decision, deniedDecision, syncDecision } from '../decision.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import type { Holding } from './ledger.ts'
import type { LocalDecisions } from './local-decisions.ts'
import type { LocalKey } from './local-key.ts'
import type { Sync } from './sync.ts'
import type { WaitingChecks } from './waiting-checks.ts'

/** What a limit says of a check that others decide on too, and what it holds for it until they have. */
export interface Hold {
  readonly decision: Decision
  /** Whether the store was heard; otherwise there is none to be asked. */
  readonly isHeard: boolean
  /** Since when, in store time, and how much was in use beside it. */
  readonly held?: {
    readonly local: LocalKey
    readonly holding: Holding
    readonly at: number
    readonly beside: number
  }
}

/** What a limit was asked for, of which it is not certain yet whether it will be wanted. */
export interface Once {
  /** Takes it, if the limit allows that. */
  conclude(): Promise<Decision>
  /** It is not wanted. Resolves when nothing is held of it any more. */
  forgo(): Promise<void>
}

/** What one limit says of checks that others decide on too: in one go, or with what it has held until all have answered. */
export class JointChecks {
  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly sync: Sync,
    private readonly decisions: LocalDecisions,
    private readonly waiting: WaitingChecks,
  ) {}

  /**
   * As `check`, for a decision on several limits: `sync` where the store must be heard first. What was admitted may be
   * undone before anything else happens.
   */
  attempt(key: string, cost: number): Decision {
    return this.decidePart(key, cost, false, true)
  }

  /** As `attempt`, of a check that does not wait. */
  attemptSync(key: string, cost: number): Decision {
    const local = this.decisions.keyOf(key)
    return local === undefined
      ? this.decisions.outageDecision(key, cost, true)
      : this.decisions.decide(local, cost, true, false)
  }

  /** None of the limits has refused a check that does not wait: of what only the store could say, it is asked. */
  askFor(key: string, cost: number): void {
    const local = this.sync.keys.find(key)
    if (local !== undefined) this.decisions.askFor(local, cost)
  }

  /** So much was asked for here, in a decision on several limits. */
  offer(key: string, cost: number): void {
    const local = this.sync.keys.find(key)
    if (local !== undefined) local.offer(cost)
  }

  /** @param last not `sync`: the store was asked in vain */
  private decidePart(key: string, cost: number, last: boolean, consume: boolean): Decision {
    const local = this.decisions.keyOf(key)
    if (local === undefined) return this.decisions.outageDecision(key, cost, consume)
    const decision = this.decisions.decideAtOnce(local, cost, consume, !last)
    if (decision !== undefined) return decision
    // Of a node that closes nothing more is asked.
    if (last || this.sync.pacing.closing) return this.decisions.unanswered(local, cost, consume, undefined)
    const { limit } = this.settings
    return syncDecision(limit, limit.take(local.state, this.link.table.now(), cost, 'local', false), cost)
  }

  /**
   * Holds cost for a decision on several limits, as far as this one would admit it: at once, or with the store's
   * answer to one question, or at `deadline` without one.
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

  /** What was admitted just now is held instead; by the rule for outages, or of a key not heard of, it is not. */
  private holding(local: LocalKey, cost: number, decision: Decision, isHeard: boolean): Hold {
    if (!decision.allowed) return { decision, isHeard }
    if (decision.source === 'outage' || !local.known) {
      this.decisions.undo(local.key, cost, decision)
      return { decision, isHeard }
    }
    const { limit } = this.settings
    const beside = Math.max(0, decision.limit - decision.remaining - cost - 1)
    // A log must find it again, also where it was taken by an earlier reading of the clock: it is the newest.
    const at =
      limit.algorithm === 'sliding-log' ? limit.endsAt(local.state) - limit.window : this.link.table.now()
    return { decision, isHeard, held: { local, holding: local.hold(cost), at, beside } }
  }

  /** What was held can be had by others again, or be taken by `conclude`: whether it was still held. */
  letGo(cost: number, { held }: Hold): boolean {
    if (held === undefined) return false
    const { local, holding, at, beside } = held
    const wentBack = local.letGo(holding, this.link.table.now(), cost, at, beside)
    // Where it was pushed out meanwhile, it was kept only for what was held.
    this.sync.keys.find(local.key)
    return wentBack
  }

  /** It was refused by another limit: what a soft node had booked for it goes back, since it counts on its share. */
  forgo(key: string, cost: number): void {
    const local = this.settings.strict ? undefined : this.sync.keys.find(key)
    if (local === undefined) return
    local.returnBooked(cost)
    if (local.owes) this.sync.outbox.queue(local)
  }

  /**
   * All have decided. Of a refused check what was booked goes back; of another one what `letGo` let go, and this limit took in
   * the same turn, never did.
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

  /** Decides, once the other limits were heard too, and what was held is let go: not `sync`. */
  conclude(key: string, cost: number, { isHeard }: Hold): Decision {
    const decision = this.decidePart(key, cost, !isHeard, true)
    return decision.reason === 'sync' ? this.withoutMore(key, decision, cost) : decision
  }

  /** The store was heard and it is still not certain: what is left is booked for others. */
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

  /** As `check`, with one answer of the store at most. */
  checkOnce(key: string, cost: number): Decision | Promise<Decision> {
    const decision = this.attempt(key, cost)
    this.offer(key, cost)
    return decision.reason === 'sync' ? this.once(key, cost).conclude() : decision
  }

  /** Asks at once for what is to be decided later, and holds it until then. One of both is to be called. */
  once(key: string, cost: number): Once {
    const { clock, timeout } = this.settings
    const asked = (async () => this.hold(key, cost, clock.monotonic() + timeout))()
    // It may fail before it is wanted, and then concerns nobody yet.
    asked.catch(() => {})
    return {
      conclude: async () => {
        const hold = await asked
        const wentBack = this.letGo(cost, hold)
        const decision = this.conclude(key, cost, hold)
        this.decided(key, cost, hold, wentBack, decision, !decision.allowed)
        return decision
      },
      // Of a limit that did not answer nothing is held.
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

  /** Whether a decision on the key need not wait for the store to be heard of it for the first time. */
  knows(key: string): boolean {
    return this.link.away || (this.sync.keys.find(key)?.known ?? this.decisions.refusesNew)
  }

  /** As `attempt`, with nothing taken, nor asked for; once the store was heard, not `sync`. */
  look(key: string, cost: number, last: boolean, heard: boolean): Decision {
    const decision = this.decidePart(key, cost, last, false)
    if (decision.reason !== 'sync' || !heard) return decision
    const local = this.sync.keys.find(key)
    return local?.known ? this.decisions.foreseen(local, cost) : deniedDecision(decision, 1)
  }

  /** Has the store asked about a key; resolves when it has answered, or has not by `deadline`, to what a peek would be told. */
  heard(key: string, cost: number, deadline: number): Promise<Decision> {
    const local = this.decisions.keyOf(key)
    if (local === undefined) return Promise.resolve(this.decisions.outageDecision(key, cost, false))
    return this.waiting.wait(local, cost, false, deadline)
  }
}
