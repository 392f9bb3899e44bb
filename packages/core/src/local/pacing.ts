import { isBucket } from '../algorithms/algorithm.ts'
import type { LimitSettings } from '../options.ts'
import type { Ask } from '../store/store.ts'
import { type LocalKey, UNBOUNDED } from './local-key.ts'
import { isAlone, Outlook } from './outlook.ts'
import type { Pace } from './pace.ts'
import { MOST_FRUITLESS, ToldTimes } from './told-times.ts'
import { asPart, Turns } from './turns.ts'

/** A node syncs when it has spent this part of its share, if that is not booked. */
const SPENT = 1 / 2
/** A node books more when it has this many round trips' worth of its own demand left. */
const LEAD = 1.5
/** At most this many intervals of a node's own demand are booked for it. */
const AHEAD = 2
/** Less admitted cost than this in a slice tells a node nothing yet. */
const FEW = 8
/** In its first interval a node takes each that it knows to stand for so many that start with it. */
const STARTERS = 64
/** A check may ask a second time only if this many round trips fit into `timeout`: two, should they take longer than usual. */
const TWO_TRIPS = 3
/** A node may spend booked quota for this many intervals without settling. */
const MOST_WAITS = 3
/** A slice of at most this many round trips is mostly over when the answer to a question in it comes. */
const SHORT = 4

/**
 * What a check for more than what is left counts for in a node's share: next to nothing, since what is kept for it could
 * not be spent; but not nothing, since the others would take themselves to be alone.
 */
const OVERSIZED = 1 / 20

/** A node that is alone asks for no quota and tells no demand. */
const NOTHING: Ask = [0, 0, 0, 0]

/** Whether a check waits that asks only once: one of several limits. */
function asksOnce({ waiting }: LocalKey): boolean {
  return waiting.some(({ isPart }) => isPart)
}

/**
 * When to sync, and what to ask for. A node may spend its share (by demand) of what is left, and syncs when it has
 * spent a part of that: the less is left, the sooner. A soft node counts on its share while plenty is left, and books
 * its quota towards the end. A strict one spends only booked quota.
 */
export class Pacing extends Outlook {
  /** A node that closes asks for nothing more, and gives back what is booked. */
  closing = false
  private readonly turns: Turns
  private readonly told: ToldTimes

  constructor(settings: LimitSettings) {
    super(settings)
    this.turns = new Turns(settings, this)
    this.told = new ToldTimes(settings, this)
  }

  /**
   * Whether what was admitted of a key with its first answer, or before, must be settled at once: if all nodes have
   * admitted as much, that is a considerable part of what is left. What is booked the others count already.
   */
  isPressing(key: LocalKey, now: number): boolean {
    return this.settings.strict || this.young || this.isMuch(key, key.unbooked, now)
  }

  /**
   * Whether hardly anything was admitted of the key in this slice, or since it was settled, and nothing need be booked at
   * once: a check that waits for the first answer goes by that, and asks again where it tells of less than the check
   * needs, if it has the time.
   */
  private isAsGoodAsNew(key: LocalKey, need: number, now: number): boolean {
    // In its first interval a node does not know how many others admit as much.
    const pending = this.young ? STARTERS * key.pending : key.pending
    if (key.current.admitted >= FEW && this.isMuch(key, pending, now)) return false
    return need === 0 || (!key.known && this.mayAskAgain(key) && !this.isMuch(key, need, now))
  }

  private mayAskAgain(key: LocalKey): boolean {
    const trip = Math.max(this.roundTrip, this.lastTrip)
    return TWO_TRIPS * trip <= this.settings.timeout && !asksOnce(key)
  }

  /** Whether a soft node goes on unbooked: while plenty is left or, its share unknown, the key is as good as new. */
  private countsUnbooked(key: LocalKey, left: number, need: number, now: number): boolean {
    return this.knowsShare(key) ? this.isPlenty(key, left, now) : this.isAsGoodAsNew(key, need, now)
  }

  /**
   * What is left once the needed cost has passed: it may pass unbooked only if plenty stays. A cost that was refused as
   * more than what is left does not pass.
   */
  private leftBeside(key: LocalKey, need: number, now: number, monotonic: number): number {
    const left = this.expected(key, now, monotonic)
    const mayPass = key.isAwaited || need <= this.left(key, now)
    return mayPass ? left - need : left
  }

  /**
   * What costs that are more than what is left count for in this node's share. A fixed window frees all at once, and then
   * they fit: there they count in whole, as shares are needed most when it begins.
   */
  private counted({ oversized, oversizedChecks }: Pace): number {
    return this.settings.limit.lateSlices === 0 ? oversized : OVERSIZED * oversizedChecks
  }

  /** What to ask the store for. Gives back booked quota that is not needed. */
  ask(key: LocalKey, now: number, monotonic: number): Ask {
    const { interval, strict, early } = this.settings
    const { need, offered, current } = key
    // While nobody shares the key, its demand is not watched.
    if (this.nodes === 1 && !strict && !key.isPaced && (!this.young || this.isAsGoodAsNew(key, need, now)))
      return NOTHING
    const { ownPace: pace } = key
    const { held } = current
    pace.keepOversizedWithin(offered + pace.earlier(offered, pace.oversized))
    // Below zero after checks that waited and were refused: what was booked for them is of no use, and goes back.
    const fitting = offered - pace.oversized
    const asks = Math.max(fitting > 0 ? 1 : 0, need)
    pace.wanted = 0
    pace.asked = 0
    if (need > 0) this.told.use(key, monotonic)
    pace.hasAsked = asks > 0
    if (pace.takeIn(offered, this.counted(pace), monotonic, this.memory)) key.offered = 0
    pace.demandSent = pace.sent
    pace.turnPending += (key.pending - pace.turnPending) / 8
    const nothing: Ask = [pace.demandSent, 0, 0, 0]
    if (asks === 0 || this.closing) {
      if (this.closing || monotonic - pace.heardAt > interval / 2) {
        // If all that was left was booked here, there is something to ask for again.
        if (current.allowance > 0) pace.quietUntil = -Infinity
        key.giveUp()
        // With nothing booked, a soft node goes by its share of what is left, even before the answer comes.
        if (!strict && !this.closing) this.plan(key, now, monotonic)
      }
      return nothing
    }
    // Little is known of a demand that has just begun: to ask seldom, book several times what was just offered.
    const begun = strict && this.isNew(key) ? 4 * fitting : 0
    const most = Math.max(1, Math.ceil(AHEAD * pace.fitting * interval), begun)
    if (current.allowance > 2 * most) {
      current.giveBack(current.allowance - most)
      key.headroom = Math.min(key.headroom, current.allowance)
    }
    // The answer may tell of more nodes: the cost of who asks only once is booked at once.
    const counts = !strict && !(this.young && asksOnce(key))
    if (!early || (counts && this.countsUnbooked(key, this.leftBeside(key, need, now, monotonic), need, now)))
      return nothing
    if (pace.takesTurns) return strict ? this.turns.ask(key, asks, most, now) : nothing
    pace.asked = asks
    pace.asksFree = this.free(key, now) >= asks
    return [pace.demandSent, asPart(this.share(key)), most + held, asks + held]
  }

  /** A new slice begins, of which the store has told nothing yet. */
  begin(key: LocalKey, now: number, monotonic: number): void {
    const { limit, strict, early } = this.settings
    if (strict) {
      key.headroom = 0
      const wait = this.turns.comesBackAfter(key)
      if (!key.pace.takesTurns) return
      // Otherwise a key that is rarely asked for would be put off again in each slice.
      if (this.turns.hasMissed(key, monotonic)) key.ownPace.takesTurns = false
      else key.ownPace.quietUntil = monotonic + wait
    } else if (limit.lateSlices === 0) {
      // The node goes by half of its share until the store has booked more.
      if (key.isPaced) {
        const { ownPace } = key
        ownPace.heardAt = monotonic
        ownPace.isOutdated = true
        // Questions asked in vain in the slice before say nothing of this one.
        ownPace.asked = 0
        ownPace.fruitless = 0
        // Nor does an answer under way, unless the slices are so short that every answer would come too late.
        if (limit.window > SHORT * this.roundTrip) ownPace.hasAsked = false
      }
      this.plan(key, now, monotonic)
      const half = Math.floor((limit.limit * this.share(key)) / 2)
      key.headroom = this.isScant ? 0 : Math.max(key.headroom, half)
      if (early) key.untilSync = Math.max(1, Math.floor(SPENT * key.headroom))
    }
  }

  /**
   * Whether the store was last heard of the key in another fixed window, or longer ago than a window: the others' share
   * may be free now. In a scant window always: there the node asks before each check.
   */
  isOutdated({ pace }: LocalKey, monotonic: number): boolean {
    if (this.nodes === 1) return false
    return this.isScant || pace.isOutdated || monotonic - pace.heardAt > this.settings.limit.window
  }

  /** Whether it is too early to ask again, as nothing was left. Checks do not wait for the node's next turn. */
  isScarce(key: LocalKey, now: number, monotonic: number): boolean {
    const { quietUntil, takesTurns, promisedAt } = key.pace
    if (quietUntil === -Infinity || monotonic >= promisedAt) return false
    if (takesTurns) return monotonic < quietUntil || !this.turns.hasMissed(key, monotonic)
    return monotonic < quietUntil && !this.told.hasMore(key, now)
  }

  /**
   * Whether to ask for a cost that is more than what is left: not if others ask for the key, too. Quota booked for it
   * could not be spent, and the others would be refused for it.
   */
  asksForMore({ pace }: LocalKey): boolean {
    return isAlone(pace)
  }

  /** Whether what is known of the key is so old that more may be left by now. */
  isOld({ pace }: LocalKey, monotonic: number): boolean {
    return monotonic - pace.heardAt >= this.pause
  }

  /** Whether what the key owes can be settled with the next question: it was booked, and is being used up. */
  canWait(key: LocalKey, monotonic: number): boolean {
    const { current, late, pace, offered } = key
    // What was spent in a turn is settled with the next one, which is near.
    if (pace.takesTurns && !late.owes && monotonic < pace.quietUntil) return true
    if (late.owes || current.allowance === 0) return false
    const fitting = offered - pace.oversized
    return monotonic - pace.heardAt < MOST_WAITS * this.settings.interval && pace.isSteady(fitting, monotonic)
  }

  /**
   * Takes in what the store said of a key in `slice`.
   *
   * @param demand of all nodes
   * @param elsewhere quota booked for the others
   * @param isFirst whether this is the first answer about the key
   */
  learn(
    key: LocalKey,
    slice: number,
    demand: number,
    elsewhere: number,
    now: number,
    monotonic: number,
    isFirst = false,
  ): void {
    const { limit, interval } = this.settings
    const since = now - slice * limit.window
    const fresh = limit.lateSlices === 0 && since < 1.2 * interval
    // Quota booked or asked for in a slice that has ended since can't be spent in this one.
    const behind = key.slice - slice
    const booked = behind > limit.lateSlices ? 0 : elsewhere
    if (key.isPaced || demand > 0 || booked > 0) {
      const { ownPace } = key
      ownPace.hear(demand, ownPace.demandSent, slice, fresh)
      ownPace.heardAt = monotonic
      // A mere look, such as a peek, books nothing: a check after it must not be refused for that.
      if (ownPace.hasAsked) ownPace.isOutdated = false
      ownPace.elsewhere = booked
      if (behind > 0) ownPace.asked = 0
      ownPace.fruitless = ownPace.asked > key.current.allowance ? ownPace.fruitless + 1 : 0
    }
    const isSpent = this.willBeSpent(key, now)
    if (booked > 0 && isSpent) limit.settle(key.state, now, key.behind(slice, now), booked)
    if (key.isPaced) key.ownPace.besides = isSpent ? 0 : booked
    // For the checks that waited for this answer nothing was booked: they ask again, and don't wait for the node's turn.
    this.plan(key, now, monotonic, !(isFirst && key.need > 0 && key.pace.asked === 0))
  }

  /**
   * Whether quota booked for others counts as used. Without `extra`, it always does. Booking above the limit is for
   * quota that others hold but will not use up: if the nodes take turns, or all demand is below what is left.
   */
  private willBeSpent(key: LocalKey, now: number): boolean {
    const { limit, extra } = this.settings
    if (extra === 0) return true
    if (key.pace.takesTurns) return false
    const rest = limit.lateSlices === 0 ? key.sliceEnd - now : limit.window
    const { own, others } = key.pace
    return (own + others) * rest >= this.left(key, now)
  }

  /** Whether the store, as just heard, would book the cost for this node. */
  isBookable(key: LocalKey, cost: number, now: number): boolean {
    return this.left(key, now) - key.pace.besides + this.settings.extra >= cost
  }

  /** Plans how far the key may go until the store is heard again. */
  plan(key: LocalKey, now: number, monotonic: number, mayTakeTurns = true): void {
    const { limit, strict, early } = this.settings
    if (!early || (!key.known && !strict)) {
      key.headroom = UNBOUNDED
      key.untilSync = UNBOUNDED
      return
    }
    const left = this.left(key, now)
    const { allowance, ahead } = key.current
    const booked = allowance + ahead
    const { own, others, total, fitting, elsewhere, asked, fruitless } = key.pace
    const flow = limit.flow(key.state, now, limit.limit)
    // Quota is booked for what can be spent. A soft node allows for the large costs, too: others may admit them unheard.
    const demand = strict ? own + others : total
    // A node that is alone has nobody to take turns with.
    const alone = isAlone(key.pace)
    const saturated = flow > 0 && demand > flow && left - booked < demand * this.pause
    // A share of less than one can't be taken in turns: whoever asks books it.
    const isShared = strict || this.share(key) * limit.limit >= 1
    if (saturated && !alone && isShared && (strict || mayTakeTurns)) {
      this.turns.take(key, left, now, monotonic)
      return
    }
    if (key.isPaced) key.ownPace.takesTurns = false
    const plenty = !strict && this.isPlenty(key, left, now)
    const counts = plenty || (!strict && !this.knowsShare(key))
    // The node asked for nothing while plenty was left. Until some is booked, it goes by a part of its share.
    const crosses = !strict && !counts && asked === 0
    const part = counts ? this.share(key) * left : crosses ? SPENT * this.share(key) * (left - allowance) : 0
    const quota = Math.max(allowance, Math.floor(part))
    key.headroom = plenty ? Math.max(quota, Math.floor(left / 2)) : quota
    const lead = LEAD * fitting * this.roundTrip
    const until = counts ? Math.floor(SPENT * quota) : Math.round((crosses ? allowance : quota) - lead)
    // All nodes begin to book when plenty ends: for one that goes on unbooked, they leave nothing.
    const over = plenty ? this.share(key) * (left - this.plenty(key, now)) : Infinity
    key.untilSync = Math.max(1, Math.min(until, this.unheard(key), Math.ceil(over)))
    const asksAgain = alone && fruitless < MOST_FRUITLESS
    if (left - booked >= 1 && (asksAgain || allowance >= asked)) {
      if (key.isPaced) key.ownPace.quietUntil = -Infinity
    } else {
      // Asking again helps once time has freed some or others gave theirs back. Booked quota of a bucket drains only
      // when the store knows it was spent: if it is most of the bucket, the node settles as soon as it is spent. So does
      // one that goes on unbooked, or the others would not hear of what it takes.
      if (!counts) key.untilSync = strict && isBucket(limit) && 2 * booked > limit.limit ? booked : UNBOUNDED
      const changes = limit.lateSlices > 0 || elsewhere > 0 || (fruitless > 0 && left - booked >= 1)
      key.ownPace.quietUntil = changes ? monotonic + this.pause : Infinity
    }
  }

  /**
   * How much a soft node may admit before it hears of the others: as much again, where it does not know its share, or
   * those that start with it.
   */
  private unheard(key: LocalKey): number {
    if (this.settings.strict || (this.knowsShare(key) && !this.young)) return Infinity
    return Math.max(FEW, key.current.admitted)
  }

  /** As told by {@link Turns.furthest}. */
  get furthest(): number {
    return this.turns.furthest
  }

  /** As told by {@link ToldTimes.promise}. */
  promise(key: LocalKey, now: number, retryAfterMs: number, asks: boolean): number {
    return this.told.promise(key, now, retryAfterMs, asks)
  }

  /** Whether a soft node may admit the cost beyond its headroom. */
  mayExceed(key: LocalKey, cost: number, now: number, monotonic: number): boolean {
    if (this.isPlenty(key, this.expected(key, now, monotonic) - cost, now)) return true
    return key.headroom - cost >= -this.turns.freed(key, now)
  }
}
