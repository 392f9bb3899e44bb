import { type Algorithm, resetAfterOf } from '../algorithms/algorithm.ts'
import {
  blockedDecision,
  type Decision,
  decisionOf,
  deniedDecision,
  syncDecision,
  withoutBooked,
} from '../decision.ts'
import { StoreError } from '../errors.ts'
import type { Link } from '../link.ts'
import type { LimitSettings } from '../options.ts'
import { OutageRule } from '../outage.ts'
import type { HeldKeys } from './held-keys.ts'
import { isManyRefused, isUsedUp } from './key-record.ts'
import type { LocalKey } from './local-key.ts'
import type { Moment } from './moment.ts'
import { placeOf, type Rows } from './rows.ts'
import type { Sync } from './sync.ts'

/** Milliseconds: a turn of the event loop that takes longer is a fault by itself. */
const LONGEST_TURN = 1000

/** Decides a key's checks by what this node has in RAM, and queues what it admits to be settled. */
export class LocalDecisions {
  private readonly outage: OutageRule
  /** This node's share of the limit, and the number of nodes that it is for. */
  private share: Algorithm | undefined
  private sharers = 0
  private readonly isStrict: boolean
  readonly keys: HeldKeys
  private readonly rows: Rows<LocalKey>
  private readonly isStrictLog: boolean

  constructor(
    private readonly link: Link,
    private readonly settings: LimitSettings,
    private readonly sync: Sync,
    private readonly moment: Moment,
    /** Resolves with a check's decision once the store has been heard. */
    private readonly wait: (local: LocalKey, cost: number, consume: boolean) => Promise<Decision>,
  ) {
    this.outage = new OutageRule(settings)
    this.isStrict = settings.strict
    this.isStrictLog = this.isStrict && sync.isLog
    this.keys = sync.keys
    this.rows = sync.keys.rows
  }

  /** Has the next check read the clock itself: its cost may be given back by the time at which it was taken. */
  readAnew(): void {
    this.moment.renew()
  }

  // A check of cost 1 of a held key, from call to decision. `limiter.ts` finds what holds the key (of a limit that is
  // spread over shards, the key's shard) and the key's row (`findRow`), and tries in this order:
  //
  // 1. `takeReady`: the row tells how much may be taken without a look at anything else. If its slice is the present one
  //    by the time that a burst shares (`moment.ts`), the limit's `take` decides on the row's state, and counts there.
  // 2. `refuseShut`: the same for a key that is used up; takes nothing.
  // 3. `admitHeld`: if what the key may take without the store suffices, admits the check, queues the key to be settled
  //    (a node that is alone on its store only when it must) and, but for a log, makes the row ready again.
  // 4. `check` or `checkSync` here. What 3 could not admit goes to `decideByNow`, which reads the clock, begins a slice
  //    if one is due, and looks at blocks and outages. What this node may not admit by itself goes on to `beyond`, which
  //    admits it all the same, refuses it, or has the store asked.
  //
  // A key that is not found is taken in by `keyOf`, and goes on with 4, where `check` waits if the store was never heard
  // of it.
  //
  // The path of nearly all checks is split into small functions, which V8 inlines; rarer cases come behind it.

  /** Admits a check of cost 1 by the key's row alone. Undefined if it can't: then nothing has happened. */
  takeReady(row: number): Decision | undefined {
    const segment = this.rows.segment(row)
    const at = placeOf(row)
    const ready = segment.ready(at)
    if (ready <= 0 || !this.isCurrent(segment.slice(at))) return undefined
    const decision = this.settings.limit.take(segment.state(at), this.moment.now, 1, 'local', true)
    if (!decision.allowed) return undefined
    segment.setReady(at, ready - 1)
    return decision
  }

  /** Decides any other check of cost 1 of a key that has a row. */
  checkHeld(row: number): Decision | Promise<Decision> {
    const decision = this.refuseShut(row)
    if (decision !== undefined) return decision
    const local = this.rows.key(row)
    return this.admitHeld(local) ?? this.check(local, 1, true)
  }

  /** As `checkHeld`, without ever waiting. */
  checkHeldSync(row: number): Decision {
    const decision = this.refuseShut(row)
    if (decision !== undefined) return decision
    const local = this.rows.key(row)
    return this.admitHeld(local) ?? this.checkSync(local, 1)
  }

  /**
   * Refuses a check of cost 1 of a shut key by the key's row alone. Undefined if it can't: then nothing has happened.
   *
   * A shared reading of the clock may be late by a turn of the event loop: what would be allowed within that time is
   * not refused. If the store may have to be asked, only a few checks of a burst are refused so before the key is
   * looked at.
   */
  refuseShut(row: number): Decision | undefined {
    const segment = this.rows.segment(row)
    const at = placeOf(row)
    const ready = segment.ready(at)
    if (ready >= 0 || !this.isCurrent(segment.slice(at))) return undefined
    if (!isUsedUp(segment.flags(at)) && (!this.moment.isShared || isManyRefused(ready))) return undefined
    const decision = this.settings.limit.take(segment.state(at), this.moment.now, 1, 'local', false)
    if (decision.allowed || decision.retryAfterMs <= LONGEST_TURN || decision.debt !== undefined)
      return undefined
    segment.setReady(at, ready + 1)
    return decision
  }

  // For a check that other limits decide on, too.

  /** Above 0: `takeReady` may take from the row. Below 0: `refuseShut` may refuse by it. */
  readiness(row: number): number {
    return this.rows.segment(row).ready(placeOf(row))
  }

  /** As `takeReady`, taking nothing. */
  lookReady(row: number): Decision | undefined {
    const segment = this.rows.segment(row)
    const at = placeOf(row)
    if (segment.ready(at) <= 0 || !this.isCurrent(segment.slice(at))) return undefined
    const decision = this.settings.limit.take(segment.state(at), this.moment.now, 1, 'local', false)
    return decision.allowed ? decision : undefined
  }

  /** Takes back what `takeReady` has just taken. */
  undoTaken(row: number): void {
    const segment = this.rows.segment(row)
    const at = placeOf(row)
    this.settings.limit.refund(segment.state(at), this.moment.now, 0, 1)
    segment.setReady(at, segment.ready(at) + 1)
  }

  /** Undoes the count of what `refuseShut` has just refused. */
  undoRefused(row: number): void {
    const segment = this.rows.segment(row)
    const at = placeOf(row)
    segment.setReady(at, segment.ready(at) - 1)
  }

  /** Lets the key's next checks go by its row, if nothing prevents that. */
  makeReady(name: string): void {
    const row = this.keys.findRow(name)
    const local = row < 0 ? undefined : this.rows.key(row)
    if (local?.known) this.sync.makeReady(local)
  }

  /** Admits a check if what is known here suffices. Undefined if not: then nothing has happened. */
  private admitHeld(local: LocalKey): Decision | undefined {
    if (!local.known) return undefined
    const decision = this.admitAtOnce(local, 1, true)
    if (decision === undefined) return undefined
    local.offer(1)
    this.sync.makeReady(local)
    return decision
  }

  /**
   * Whether the store is there, and `slice` is the present one; if booked quota ends with it, also by the latest
   * possible time.
   */
  private isCurrent(slice: number): boolean {
    const { moment } = this
    moment.look()
    return slice >= moment.slice && !this.link.away && (!this.isStrict || this.isSurely(slice))
  }

  private isSurely(slice: number): boolean {
    return this.link.table.latest() < (slice + 1) * this.settings.limit.window
  }

  /** Decides at once if possible, otherwise with the store's answer. */
  check(local: LocalKey, cost: number, consume: boolean): Decision | Promise<Decision> {
    if (consume) local.offer(cost)
    const decision = this.decideAtOnce(local, cost, consume, true)
    if (decision !== undefined) return decision
    if (consume) local.offeredOnce(cost)
    return this.wait(local, cost, consume)
  }

  /** Decides without waiting; asks the store about what only the store could say. */
  checkSync(local: LocalKey, cost: number): Decision {
    local.offer(cost)
    const decision = this.decide(local, cost, true, false)
    if (decision.reason === 'sync') {
      this.askFor(local, cost)
      local.comesAgain(cost)
    }
    return decision
  }

  askFor(local: LocalKey, cost: number): void {
    const { ownPace } = local
    ownPace.wanted = Math.max(ownPace.wanted, cost)
    this.sync.outbox.queueAtOnce(local)
  }

  /** Whether a key that is not in RAM is answered by the outage rule: with the store away, or too slow for the new keys. */
  get refusesNew(): boolean {
    const { sync, link, settings } = this
    return sync.keys.isFull || (link.away && (sync.outbox.full || settings.onOutage !== 'local'))
  }

  /**
   * The held key; one that is not held is taken in. Undefined if there is no room, or the store to be asked is away.
   */
  keyOf(name: string): LocalKey | undefined {
    const local = this.sync.keys.find(name)
    if (local !== undefined) return local
    if (!this.refusesNew) return this.sync.add(name)
    // A flush for room may have failed, or come while the store was away; nothing else might start one for long.
    this.sync.outbox.relieve()
    return undefined
  }

  /** As `decide`; undefined if the store must be heard first. */
  decideAtOnce(local: LocalKey, cost: number, consume: boolean, mayWait: boolean): Decision | undefined {
    if (!local.known && !this.link.away) return undefined
    const decision = this.decide(local, cost, consume, mayWait)
    return decision.reason === 'sync' ? undefined : decision
  }

  decide(local: LocalKey, cost: number, consume: boolean, mayWait: boolean): Decision {
    if (!local.known) {
      if (this.sync.mistake !== undefined) throw this.sync.mistake
      this.sync.correct(local)
    }
    return this.admitAtOnce(local, cost, consume) ?? this.decideByNow(local, cost, consume, mayWait)
  }

  /**
   * Admits a check if nothing stands in the way. A burst of checks shares the reading of the clock, so nothing is
   * refused by it.
   */
  private admitAtOnce(local: LocalKey, cost: number, consume: boolean): Decision | undefined {
    if (cost > local.headroom || local.blockedUntil !== undefined) return undefined
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
    const now = this.link.table.now()
    if (now >= local.sliceEnd) this.sync.begin(local, now, clock.monotonic())
    if (this.isStrictLog) this.sync.ripen(local)
    const blockedFor = (local.blockedUntil ?? now) - now
    if (blockedFor > 0) {
      const wouldBe = limit.take(local.state, now, cost, 'local', false)
      return blockedDecision(wouldBe, blockedFor, resetAfterOf(limit, local.state, now))
    }
    local.blockedUntil = undefined
    const within = cost <= local.headroom && (!strict || this.link.table.latest() < local.sliceEnd)
    if (away && !(strict && within)) {
      if (strict || onOutage !== 'local') return this.outageDecision(local.key, cost, consume)
      return this.owed(local, this.taken(this.stale(), local, now, cost, consume))
    }
    const taken = within ? this.takenWithin(local, now, cost, consume) : undefined
    // A soft node may count on more than what is left: what costs more than that is beyond it, too.
    const isBeyond = taken === undefined || (!taken.allowed && !strict && this.settings.early)
    const decision = isBeyond ? this.beyond(local, now, cost, consume, mayWait) : taken
    return mayWait && this.isHeldBack(local, decision, now, cost)
      ? syncDecision(limit, decision, cost)
      : this.owed(local, decision)
  }

  /** Whether a check is refused only because of what other checks hold, and may let go. */
  private isHeldBack({ current, state }: LocalKey, { reason }: Decision, now: number, cost: number): boolean {
    if (reason !== 'limit' || current.held === 0) return false
    const { limit } = this.settings
    return cost <= limit.limit - limit.usage(state, now) + current.held
  }

  /** Takes from what the node may count on: quota booked under a higher limit may be spent above the present one. */
  private takenWithin(local: LocalKey, now: number, cost: number, consume: boolean): Decision {
    const { limit } = this.settings
    const decision = this.taken(limit, local, now, cost, consume)
    if (decision.allowed) return decision
    const { lease, granted, allowance } = local.current
    if (lease === undefined || cost > allowance - (granted - lease.granted)) return decision
    const { allowed, resetAfterMs, delayMs } = this.taken(lease.limit, local, now, cost, consume)
    return allowed ? decisionOf(true, limit.limit, 0, 0, resetAfterMs, delayMs, 'local') : decision
  }

  taken(limit: Algorithm, local: LocalKey, now: number, cost: number, consume: boolean): Decision {
    const decision = limit.take(local.state, now, cost, 'local', consume)
    return decision.allowed && consume ? this.admit(local, decision, now, cost) : decision
  }

  private admit(local: LocalKey, decision: Decision, now: number, cost: number): Decision {
    // A log's entry must not expire early because the clock was behind.
    local.admitted(this.isStrictLog ? Math.ceil(this.link.table.latest()) : now, cost)
    if (local.untilSync <= 0) this.sync.outbox.queueAtOnce(local)
    else if (!local.queued && !this.sync.lone) this.sync.outbox.queue(local)
    return decision
  }

  /** The node has no quota left to count on: it asks the store, unless that is known to be of no use. */
  private beyond(local: LocalKey, now: number, cost: number, consume: boolean, mayWait: boolean): Decision {
    const { limit, strict, clock } = this.settings
    const { sync } = this
    const { pacing } = sync
    const decision = limit.take(local.state, now, cost, 'local', false)
    if (decision.allowed) {
      const monotonic = clock.monotonic()
      if (!strict && pacing.mayExceed(local, cost, now, monotonic))
        return this.taken(limit, local, now, cost, consume)
      const waits = strict || pacing.isOutdated(local, monotonic) || (mayWait && !pacing.knowsShare(local))
      // While quota is scarce, the node asks only now and then, and denies meanwhile.
      if (waits && !pacing.isScarce(local, now, monotonic)) return syncDecision(limit, decision, cost)
    }
    const { quietUntil } = local.pace
    // For a node that is alone on its store, nobody else can have given any back.
    const isSpent = quietUntil === Infinity || (sync.lone && !decision.allowed)
    // A reading of the clock costs as much as the rest, and most keys that are used up stay so until their window ends.
    const asks = consume && decision.reason !== 'cost' && !isSpent
    const isTooMuch = decision.reason === 'limit' && decision.remaining > 0
    if (consume && isTooMuch && !sync.lone) local.ownPace.refusedOversized(cost)
    const asksNow = asks && clock.monotonic() >= quietUntil
    if (asksNow) {
      if (isTooMuch && !pacing.asksForMore(local)) this.lookForMore(local)
      else this.askFor(local, cost)
    }
    if (!decision.allowed) {
      // Held cost may go back at any moment, and a check that may wait must not be refused for want of it.
      const isHeld = local.current.held > 0
      if (consume && !this.sync.isLog && !isHeld && local.headroom < 1) local.makeShut(isSpent)
      return strict && consume ? this.promised(local, decision, now, asksNow) : decision
    }
    return this.bookedElsewhere(local, decision, now, cost)
  }

  /** Tells a refused check to come again when the node asks. */
  private promised(local: LocalKey, decision: Decision, now: number, asks: boolean): Decision {
    const { retryAfterMs, reason, debt } = decision
    if (reason !== 'limit' || debt !== undefined) return decision
    return deniedDecision(decision, this.sync.pacing.promise(local, now, retryAfterMs, asks))
  }

  /** A cost that is more than what is left: nothing is to be booked for it, but the store may have more by now. */
  private lookForMore(local: LocalKey): void {
    const { outbox, pacing } = this.sync
    if (pacing.isOld(local, this.settings.clock.monotonic())) outbox.queueAtOnce(local)
    else outbox.queue(local)
  }

  /**
   * Denies a check as if what is left were spent: it is booked for other nodes, or will be by the time the store is
   * heard. Or it is booked for this node, but from later on.
   */
  bookedElsewhere(local: LocalKey, decision: Decision, now: number, cost: number): Decision {
    const { state, current, pace } = local
    const { limit, clock, strict } = this.settings
    const start = current.startOf(cost)
    if (start > 0) return deniedDecision(decision, Math.max(1, Math.ceil(start - this.link.earliest)))
    // Of a node that is alone, nobody takes it.
    const told = strict ? this.sync.pacing.promise(local, now, 0, false) : 0
    if (told > 0) return deniedDecision(decision, told)
    const full = limit.take(state, now, Math.min(limit.limit, decision.remaining + 2 * cost), 'local', false)
    if (!full.allowed) return deniedDecision(decision, full.retryAfterMs)
    // Nothing changes here before the node asks again.
    const quiet = pace.quietUntil === Infinity ? 0 : pace.quietUntil - clock.monotonic()
    return deniedDecision(decision, Math.ceil(Math.max(this.sync.pacing.roundTrip, quiet)))
  }

  /** Limits the debt to what is used above the limit, without what is only booked. */
  owed(local: LocalKey, decision: Decision): Decision {
    return decision.debt === undefined ? decision : withoutBooked(decision, local.pace.countsAsUsed)
  }

  /**
   * The decision that a check would get once its cost had been asked for, of a key that the store was just heard of.
   */
  foreseen(local: LocalKey, cost: number): Decision {
    const refused = this.outstripped(local, cost, 0)
    if (refused !== undefined) return refused
    const { limit } = this.settings
    return this.owed(local, limit.take(local.state, this.link.table.now(), cost, 'local', false))
  }

  /**
   * The denial of a check if the store, as just heard, would book no more than those ahead of it wait for; otherwise
   * undefined.
   */
  outstripped(local: LocalKey, cost: number, ahead: number): Decision | undefined {
    const { limit } = this.settings
    const now = this.link.table.now()
    if (this.sync.pacing.isBookable(local, ahead + cost, now)) return undefined
    const decision = limit.take(local.state, now, cost, 'local', false)
    if (!decision.allowed) return this.owed(local, decision)
    const refused = this.bookedElsewhere(local, decision, now, cost)
    if (ahead === 0) return refused
    // Time need not free all that is left anew, only what those ahead leave too little of.
    const retryAfter = this.retryBehind(local, ahead, now, cost)
    const isBooked = local.pace.besides > 0
    return deniedDecision(decision, isBooked ? Math.max(retryAfter, refused.retryAfterMs) : retryAfter)
  }

  /** Milliseconds until the cost would be available, had `ahead` been taken now. */
  private retryBehind({ state }: LocalKey, ahead: number, now: number, cost: number): number {
    const { limit } = this.settings
    limit.settle(state, now, 0, ahead)
    const { retryAfterMs } = limit.take(state, now, cost, 'local', false)
    limit.refund(state, now, 0, ahead)
    return retryAfterMs
  }

  /** The limit for a node whose store is away: after more than a window, its fair share. */
  private stale(): Algorithm {
    const { limit, clock } = this.settings
    const { heardAt, pacing } = this.sync
    if (clock.monotonic() - heardAt <= limit.window) return limit
    if (this.share === undefined || this.sharers !== pacing.nodes) {
      this.share = limit.share(pacing.nodes)
      this.sharers = pacing.nodes
    }
    return this.share
  }

  /** Decides a check that waited in vain. */
  unanswered(local: LocalKey, cost: number, consume: boolean, error: unknown): Decision {
    if (error !== undefined && !(error instanceof StoreError)) throw error
    if (this.settings.onOutage === 'local' && !this.settings.strict) {
      const decision = this.decide(local, cost, consume, false)
      // Only the store could have said more: the node goes on by what it knows.
      if (decision.reason !== 'sync') return decision
      return this.owed(local, this.taken(this.stale(), local, this.link.table.now(), cost, consume))
    }
    return this.outageDecision(local.key, cost, consume, error)
  }

  outageDecision(key: string, cost: number, consume: boolean, cause?: unknown): Decision {
    const error =
      cause instanceof StoreError
        ? cause
        : new StoreError('ERR_STORE_AWAY', 'the store is away, and will be asked again soon')
    // A soft node goes on by itself: it denies only a key that it can't take in.
    if (!this.settings.strict && this.settings.onOutage === 'local')
      return OutageRule.denied(this.settings.limit, cost, this.link.retryAfterMs)
    return this.outage.decide(key, cost, this.link.table.now(), this.link.retryAfterMs, error, consume)
  }

  /** Takes back what was admitted just now. */
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

  /** Another limit is in force. */
  limitChanged(): void {
    this.share = undefined
  }
}
