import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Checks, Resetting } from '../checks.ts'
import { blockedDecision, Decision, deniedDecision, syncDecision } from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import { OutageRule } from '../outage.ts'
import type { Snapshot } from '../store/store.ts'
import { Deadlines } from './deadlines.ts'
import type { Holding, Ledger } from './ledger.ts'
import type { LocalKey, Waiter } from './local-key.ts'
import { Moment } from './moment.ts'
import { placeOf, type Segment } from './rows.ts'
import { Sync } from './sync.ts'

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

/**
 * This node's RAM decides: by the store's last state and what is pending (soft), or out of quota that the store has
 * booked for it (`strict`: leased, and soft with `maxOvershoot`). What was admitted is settled behind it.
 */
export class LocalChecks implements Checks {
  private readonly sync: Sync
  private readonly outage: OutageRule
  private share: Algorithm | undefined
  private readonly moment: Moment
  private readonly isLog: boolean
  private readonly isStrictLog: boolean
  private readonly deadlines: Deadlines

  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
  ) {
    this.sync = new Sync(link, settings, (key, error) => this.serve(key, error))
    this.outage = new OutageRule(settings)
    this.moment = new Moment(link.table, settings.clock, settings.limit.window)
    this.isLog = settings.limit.algorithm === 'sliding-log'
    this.isStrictLog = settings.strict && this.isLog
    this.deadlines = new Deadlines(settings.clock, (key) => this.expire(key))
  }

  /**
   * The short way of nearly all checks: the key is held, and what is known here suffices to admit the cost. Not there:
   * nothing has happened, and `check` or `checkSync` looks closely.
   */
  admitHeld(name: string, cost: number): Decision | undefined {
    const { keys } = this.sync
    const row = keys.findRow(name)
    if (row < 0) return undefined
    const segment = keys.segment(row)
    const at = placeOf(row)
    if (cost <= segment.ready(at)) return this.takeReady(segment, at, cost)
    const local = segment.keys[at] as LocalKey
    if (!local.known) return undefined
    const decision = this.admitAtOnce(local, cost, true)
    if (decision === undefined) return undefined
    local.offered += cost
    // From here on, the checks to come need not look at all that.
    const isHeardOf = local.queued || this.sync.lone
    if (isHeardOf && local.blockedUntil === undefined && !this.isLog) local.makeReady()
    return decision
  }

  private takeReady(segment: Segment<LocalKey>, at: number, cost: number): Decision | undefined {
    if (this.link.away || !this.isCurrent(segment.slice(at))) return undefined
    const decision = this.settings.limit.take(segment.state(at), this.moment.now, cost, 'local', true)
    if (!decision.allowed) return undefined
    segment.setReady(at, segment.ready(at) - cost)
    return decision
  }

  /** Whether that is the slice of this moment; where booked quota ends with it, also by the latest that it can be. */
  private isCurrent(slice: number): boolean {
    const { moment } = this
    moment.look()
    if (slice < moment.slice) return false
    const { strict, limit } = this.settings
    return !strict || this.link.table.latest() < (slice + 1) * limit.window
  }

  checkSync(key: string, cost: number): Decision {
    const local = this.sync.keys.find(key) ?? this.admitNew(key)
    if (local === undefined) return this.outageDecision(key, cost, true)
    local.offered += cost
    const decision = this.decide(local, cost, true, false)
    if (decision.reason === 'sync') this.askFor(local, cost)
    return decision
  }

  private askFor(local: LocalKey, cost: number): void {
    const { ownPace } = local
    ownPace.wanted = Math.max(ownPace.wanted, cost)
    this.sync.queueAtOnce(local)
  }

  check(key: string, cost: number): Decision | Promise<Decision> {
    return this.warm(key, cost, true)
  }

  async peek(key: string): Promise<Decision> {
    return this.warm(key, 1, false)
  }

  /** Whether a key that is not in RAM is answered by the outage rule: with the store away, or too slow for the new keys. */
  private get refusesNew(): boolean {
    const { sync, link, settings } = this
    return sync.keys.isFull || (link.away && (sync.full || settings.onOutage !== 'local'))
  }

  private admitNew(key: string): LocalKey | undefined {
    return this.refusesNew ? undefined : this.sync.add(key)
  }

  /** Decides at once where that is possible, and otherwise with the store's answer. */
  private warm(key: string, cost: number, consume: boolean): Decision | Promise<Decision> {
    const local = this.sync.keys.find(key) ?? this.admitNew(key)
    if (local === undefined) return this.outageDecision(key, cost, consume)
    if (consume) local.offered += cost
    if (local.known || this.link.away) {
      const decision = this.decide(local, cost, consume, true)
      if (decision.reason !== 'sync') return decision
    }
    return this.wait(local, cost, consume)
  }

  private wait(
    local: LocalKey,
    cost: number,
    consume: boolean,
    deadline = this.settings.clock.monotonic() + this.settings.timeout,
  ): Promise<Decision> {
    return new Promise((resolve, reject) => {
      this.waitFor(local, { cost, consume, deadline, resolve, reject })
    })
  }

  private waitFor(local: LocalKey, waiter: Waiter): void {
    local.wait(waiter)
    this.deadlines.add(local, waiter.deadline)
    this.sync.queueAtOnce(local)
  }

  /** Answers the checks that wait for a key, in their order; those that must go on waiting stay. */
  private serve(local: LocalKey, error: unknown): void {
    if (local.waiting.length === 0) return
    const now = this.settings.clock.monotonic()
    for (const waiter of local.takeWaiting()) {
      try {
        const decision = error === undefined ? this.answer(local, waiter.cost, waiter.consume) : undefined
        const isLast = this.sync.pacing.closing || (waiter.isPart && waiter.asked)
        if (decision !== undefined && (isLast || decision.reason !== 'sync')) waiter.resolve(decision)
        else if (error === undefined && now < waiter.deadline) local.wait(waiter)
        else waiter.resolve(this.unanswered(local, waiter.cost, waiter.consume, error), true)
      } catch (failure) {
        waiter.reject(failure)
      }
    }
  }

  /** Answers the checks that have waited for long enough; the others go on. */
  private expire(local: LocalKey): void {
    const now = this.settings.clock.monotonic()
    const message = 'the store was not asked in time: more keys are asked about than it answers'
    for (const waiter of local.takeWaiting()) {
      if (now < waiter.deadline) {
        local.wait(waiter)
        continue
      }
      try {
        const error = new StoreError('ERR_STORE_TIMEOUT', message)
        waiter.resolve(this.unanswered(local, waiter.cost, waiter.consume, error), true)
      } catch (failure) {
        waiter.reject(failure)
      }
    }
  }

  /** The store has just been heard. A peek books nothing: what nobody has booked, a check would be given. */
  private answer(local: LocalKey, cost: number, consume: boolean): Decision {
    const decision = this.decide(local, cost, consume, true)
    return consume || decision.reason !== 'sync' ? decision : this.foreseen(local, cost)
  }

  /** What a check of a key that the store was just heard of would be told, once its cost had been asked for. */
  private foreseen(local: LocalKey, cost: number): Decision {
    const { limit } = this.settings
    const now = this.link.table.now()
    const decision = limit.take(local.state, now, cost, 'local', false)
    if (!decision.allowed || this.sync.pacing.isBookable(local, cost, now)) return decision
    return this.bookedElsewhere(local, decision, now, cost)
  }

  /** A check that waited in vain. */
  private unanswered(local: LocalKey, cost: number, consume: boolean, error: unknown): Decision {
    if (error !== undefined && !(error instanceof StoreError)) throw error
    if (this.settings.onOutage === 'local' && !this.settings.strict) {
      return this.decide(local, cost, consume, false)
    }
    return this.outageDecision(local.key, cost, consume, error)
  }

  private decide(local: LocalKey, cost: number, consume: boolean, mayWait: boolean): Decision {
    if (!local.known) this.sync.correct(local)
    return this.admitAtOnce(local, cost, consume) ?? this.decideByNow(local, cost, consume, mayWait)
  }

  /** Where nothing stands in the way: by a reading of the clock that a burst of checks shares, so nothing is refused by it. */
  private admitAtOnce(local: LocalKey, cost: number, consume: boolean): Decision | undefined {
    if (cost > local.headroom || local.blockedUntil !== undefined || this.link.away) return undefined
    const { limit } = this.settings
    if (!this.isCurrent(local.slice)) return undefined
    const { now } = this.moment
    const decision = limit.take(local.state, now, cost, 'local', consume)
    if (!decision.allowed) return undefined
    return consume ? this.admit(local, decision, now, cost) : decision
  }

  private decideByNow(local: LocalKey, cost: number, consume: boolean, mayWait: boolean): Decision {
    const { limit, onOutage, strict, clock } = this.settings
    const { away } = this.link
    const monotonic = clock.monotonic()
    const now = this.link.table.now()
    if (now >= local.sliceEnd) this.sync.begin(local, now, monotonic)
    const blockedFor = (local.blockedUntil ?? now) - now
    if (blockedFor > 0) return blockedDecision(limit.take(local.state, now, cost, 'local', false), blockedFor)
    const within = cost <= local.headroom && (!strict || this.link.table.latest() < local.sliceEnd)
    if (away && !(strict && within)) {
      if (strict || onOutage !== 'local') return this.outageDecision(local.key, cost, consume)
      return this.taken(this.stale(), local, now, cost, consume)
    }
    const decision = within
      ? this.takenWithin(local, now, cost, consume)
      : this.beyond(local, now, monotonic, cost, consume, mayWait)
    return mayWait && this.isHeldBack(local, decision, now, cost)
      ? syncDecision(limit, decision, cost)
      : decision
  }

  /** Whether it is refused for nothing but what other checks hold, and may let go. */
  private isHeldBack({ current, state }: LocalKey, { reason }: Decision, now: number, cost: number): boolean {
    if (reason !== 'limit' || current.held === 0) return false
    const { limit } = this.settings
    return cost <= limit.limit - limit.usage(state, now) + current.held
  }

  /** Within what the node may count on: what was booked under a higher limit may be spent above the present one. */
  private takenWithin(local: LocalKey, now: number, cost: number, consume: boolean): Decision {
    const { limit } = this.settings
    const decision = this.taken(limit, local, now, cost, consume)
    if (decision.allowed) return decision
    const { lease, granted, allowance } = local.current
    if (lease === undefined || cost > allowance - (granted - lease.granted)) return decision
    const { allowed, resetAfterMs, delayMs } = this.taken(lease.limit, local, now, cost, consume)
    return allowed ? new Decision(true, limit.limit, 0, 0, resetAfterMs, delayMs, 'local') : decision
  }

  private taken(limit: Algorithm, local: LocalKey, now: number, cost: number, consume: boolean): Decision {
    const decision = limit.take(local.state, now, cost, 'local', consume)
    return decision.allowed && consume ? this.admit(local, decision, now, cost) : decision
  }

  private admit(local: LocalKey, decision: Decision, now: number, cost: number): Decision {
    // In a log, what is spent must not grow old before its time, should the clock be behind.
    local.admitted(this.isStrictLog ? Math.ceil(this.link.table.latest()) : now, cost)
    if (local.untilSync <= 0) this.sync.queueAtOnce(local)
    else if (!local.queued && !this.sync.lone) this.sync.queue(local)
    return decision
  }

  /** The node has no quota left that it may count on: the store is asked, unless that is known to be of no use. */
  private beyond(
    local: LocalKey,
    now: number,
    monotonic: number,
    cost: number,
    consume: boolean,
    mayWait: boolean,
  ): Decision {
    const { limit, strict } = this.settings
    const { sync } = this
    const decision = limit.take(local.state, now, cost, 'local', false)
    if (decision.allowed && !strict && sync.pacing.mayExceed(local, cost, now, monotonic)) {
      return this.taken(limit, local, now, cost, consume)
    }
    // Where there was nothing left for this node when it asked, it asks again now and then, and denies meanwhile.
    const scarce = local.pace.quietUntil > -Infinity
    const waits = strict || (mayWait && !sync.pacing.knowsShare(local))
    if (decision.allowed && waits && !scarce) return syncDecision(limit, decision, cost)
    if (consume && monotonic >= local.pace.quietUntil && decision.reason !== 'cost') this.askFor(local, cost)
    if (!decision.allowed) return decision
    return this.bookedElsewhere(local, decision, now, cost)
  }

  /** What is left is booked for others, or will be by the time the store is heard: as if it were spent. */
  private bookedElsewhere({ state }: LocalKey, decision: Decision, now: number, cost: number): Decision {
    const { limit } = this.settings
    const full = limit.take(state, now, Math.min(limit.limit, decision.remaining + 2 * cost), 'local', false)
    const retryAfter = full.allowed ? Math.ceil(this.sync.pacing.roundTrip) : full.retryAfterMs
    return deniedDecision(decision, retryAfter)
  }

  /** With the store away for longer than a window, a node goes on with its fair share of the limit. */
  private stale(): Algorithm {
    const { limit, clock } = this.settings
    if (clock.monotonic() - this.sync.heardAt <= limit.window) {
      this.share = undefined
      return limit
    }
    this.share ??= limit.share(this.sync.pacing.nodes)
    return this.share
  }

  private outageDecision(key: string, cost: number, consume: boolean, cause?: unknown): Decision {
    const error =
      cause instanceof StoreError
        ? cause
        : new StoreError('ERR_STORE_AWAY', 'the store is away, and will be asked again soon')
    // A soft node goes on by itself; that it can't take in another key is the one thing that it denies.
    if (!this.settings.strict && this.settings.onOutage === 'local')
      return OutageRule.denied(this.settings.limit, cost, this.link.retryAfterMs)
    return this.outage.decide(key, cost, this.link.table.now(), this.link.retryAfterMs, error, consume)
  }

  /** So much of the key was given back; of one that was reset, all. */
  withdraw(key: string, cost: number): void {
    this.sync.keys.find(key)?.withdraw(cost)
  }

  /** Settles what this node owes of the key, and has it read again with the next interval. */
  async settle(key: string): Promise<void> {
    const local = this.sync.keys.find(key)
    if (local === undefined) return
    await this.sync.settle([local])
    this.sync.readLater(local)
  }

  async refund(key: string, cost: number, at?: number): Promise<void> {
    await this.peek(key)
    const local = this.sync.keys.find(key)
    if (local === undefined) throw nothingGivenBack()
    const back = local.refund(this.link.table.now(), cost, at)
    // What this node admitted itself it can give back without having heard of the others.
    if (!local.known && back === 0) throw nothingGivenBack()
    local.withdraw(cost)
    this.sync.queue(local)
    await this.sync.settle([local])
  }

  /**
   * As `check`, for a decision on several limits: `sync` where the store must be heard first. What was admitted may be
   * undone before anything else happens.
   */
  attempt(key: string, cost: number): Decision {
    return this.decidePart(key, cost, false, true)
  }

  /** So much was asked for here, in a decision on several limits. */
  offer(key: string, cost: number): void {
    const local = this.sync.keys.find(key)
    if (local !== undefined) local.offered += cost
  }

  /** @param last not `sync`: the store was asked in vain */
  private decidePart(key: string, cost: number, last: boolean, consume: boolean): Decision {
    const local = this.sync.keys.find(key) ?? this.admitNew(key)
    if (local === undefined) return this.outageDecision(key, cost, consume)
    if (local.known || this.link.away) {
      const decision = this.decide(local, cost, consume, !last)
      if (decision.reason !== 'sync') return decision
    }
    // Of a node that closes nothing more is asked.
    if (last || this.sync.pacing.closing) return this.unanswered(local, cost, consume, undefined)
    const { limit } = this.settings
    return syncDecision(limit, limit.take(local.state, this.link.table.now(), cost, 'local', false), cost)
  }

  /**
   * Holds cost for a decision on several limits, as far as this one would admit it: at once, or with the store's
   * answer to one question, or at `deadline` without one.
   */
  hold(key: string, cost: number, deadline: number): Hold | Promise<Hold> {
    const local = this.sync.keys.find(key) ?? this.admitNew(key)
    if (local === undefined) return { decision: this.outageDecision(key, cost, false), isHeard: false }
    if (local.known || this.link.away) {
      const decision = this.decide(local, cost, true, true)
      if (decision.reason !== 'sync') return this.holding(local, cost, decision, local.known)
    }
    return new Promise((resolve, reject) => {
      const settle = (decision: Decision, unheard = false) =>
        resolve(this.holding(local, cost, decision, !unheard))
      this.waitFor(local, { cost, consume: true, deadline, isPart: true, resolve: settle, reject })
    })
  }

  /** What was admitted just now is held instead; by the rule for outages, or of a key not heard of, it is not. */
  private holding(local: LocalKey, cost: number, decision: Decision, isHeard: boolean): Hold {
    if (!decision.allowed) return { decision, isHeard }
    if (decision.source === 'outage' || !local.known) {
      this.undo(local.key, cost, decision)
      return { decision, isHeard }
    }
    const { limit } = this.settings
    const beside = Math.max(0, decision.limit - decision.remaining - cost - 1)
    // A log must find it again, also where it was taken by an earlier reading of the clock: it is the newest.
    const at = this.isLog ? limit.endsAt(local.state) - limit.window : this.link.table.now()
    return { decision, isHeard, held: { local, holding: local.hold(cost), at, beside } }
  }

  /** What was held can be had by others again, or be taken by `conclude`. */
  letGo(cost: number, { held }: Hold): void {
    if (held === undefined) return
    const { local, holding, at, beside } = held
    local.letGo(holding, this.link.table.now(), cost, at, beside)
    // Where it was pushed out meanwhile, it was kept only for what was held.
    this.sync.keys.find(local.key)
  }

  /** It was refused by another limit: what a soft node had booked for it goes back, since it counts on its share. */
  forgo(key: string, cost: number): void {
    const local = this.settings.strict ? undefined : this.sync.keys.find(key)
    if (local === undefined) return
    local.returnBooked(cost)
    if (local.owes) this.sync.queue(local)
  }

  /** Decides, once the other limits were heard too, and what was held is let go: not `sync`. */
  conclude(key: string, cost: number, { isHeard }: Hold): Decision {
    const decision = this.decidePart(key, cost, !isHeard, true)
    return decision.reason === 'sync' ? this.withoutMore(key, decision, cost) : decision
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
        this.letGo(cost, hold)
        const decision = this.conclude(key, cost, hold)
        if (!decision.allowed) this.forgo(key, cost)
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

  /** The store was heard and it is still not certain: what is left is booked for others. */
  private withoutMore(key: string, decision: Decision, cost: number): Decision {
    const local = this.sync.keys.find(key)
    if (!local?.known) return deniedDecision(decision, 1)
    const { limit, strict } = this.settings
    const now = this.link.table.now()
    // A soft node that was alone so far asked for nothing, and goes by what it has heard.
    if (!strict && local.pace.asked === 0) return this.taken(limit, local, now, cost, true)
    const wouldBe = limit.take(local.state, now, cost, 'local', false)
    return wouldBe.allowed ? this.bookedElsewhere(local, wouldBe, now, cost) : wouldBe
  }

  /** Whether a decision on the key need not wait for the store to be heard of it for the first time. */
  knows(key: string): boolean {
    return this.link.away || (this.sync.keys.find(key)?.known ?? this.refusesNew)
  }

  /** As `attempt`, with nothing taken, nor asked for; once the store was heard, not `sync`. */
  look(key: string, cost: number, last: boolean, heard: boolean): Decision {
    const decision = this.decidePart(key, cost, last, false)
    if (decision.reason !== 'sync' || !heard) return decision
    const local = this.sync.keys.find(key)
    return local?.known ? this.foreseen(local, cost) : deniedDecision(decision, 1)
  }

  /** Has the store asked about a key; resolves when it has answered, or has not by `deadline`, to what a peek would be told. */
  heard(key: string, cost: number, deadline: number): Promise<Decision> {
    const local = this.sync.keys.find(key) ?? this.admitNew(key)
    if (local === undefined) return Promise.resolve(this.outageDecision(key, cost, false))
    return this.wait(local, cost, false, deadline)
  }

  /** Takes back what `attempt` or `checkSync` has just admitted. */
  undo(key: string, cost: number, { source }: Decision): void {
    const now = this.link.table.now()
    const local = source === 'outage' ? undefined : this.sync.keys.find(key)
    if (local === undefined) {
      this.outage.undo(key, cost, now)
      return
    }
    this.settings.limit.refund(local.state, now, 0, cost)
    local.unadmit(cost)
  }

  /** The limit was set while it runs, from `before`: what is held goes by it from here on. */
  limitChanged(before: Algorithm): void {
    const { clock, limit, mode } = this.settings
    this.share = undefined
    const earlier = limit.with([before.limit, ...limit.parameters.slice(1)])
    const now = this.link.table.now()
    for (const local of this.sync.keys) {
      // What has drained so far has done so by the limit before.
      before.usage(local.state, now)
      local.limit = limit
      if (mode === 'leased') keepLease(local.current, earlier)
      this.sync.pacing.plan(local, now, clock.monotonic())
    }
  }

  reset(key: string): Resetting {
    const local = this.sync.keys.find(key)
    if (local === undefined) return { operation: ['reset', key], undo: () => {} }
    const { current, slice } = local
    local.dropHeld(this.link.table.now())
    const booked = current.allowance
    local.giveUp()
    return {
      operation: ['reset', key, slice, current.granted],
      undo: () => {
        local.takeUp(current, booked)
        this.sync.pacing.plan(local, this.link.table.now(), this.settings.clock.monotonic())
      },
    }
  }

  learn(snapshot: Snapshot): void {
    this.sync.takeSnapshot(snapshot)
  }

  flush(): Promise<void> {
    return this.sync.flush()
  }

  close(): Promise<void> {
    return this.sync.close()
  }

  stats(): ReturnType<Checks['stats']> {
    const { sync } = this
    const { pending } = sync
    return {
      pending,
      keys: sync.keys.size,
      syncLagMs: Math.round(this.settings.clock.monotonic() - sync.heardAt),
      expired: sync.expired,
      uncertain: 0,
      evictedInWindow: sync.keys.evicted,
      estimatedOvershoot: this.settings.strict ? this.settings.extra : pending * (sync.pacing.nodes - 1),
    }
  }
}

/** What is booked stays valid, by the highest of the limits under which it may have been. */
function keepLease(ledger: Ledger, earlier: Algorithm): void {
  if (ledger.allowance === 0) return
  const highest = Math.max(earlier.limit, ledger.lease?.limit.limit ?? 0)
  const limit = highest === earlier.limit ? earlier : earlier.with([highest, ...earlier.parameters.slice(1)])
  ledger.lease = { limit, granted: ledger.granted }
}

function nothingGivenBack(): StoreError {
  return new StoreError('ERR_STORE_AWAY', 'the store did not answer: nothing was given back')
}
