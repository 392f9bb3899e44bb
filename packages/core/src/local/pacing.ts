import { isBucket } from '../algorithms/algorithm.ts'
import type { LimitSettings } from '../options.ts'
import type { Ask } from '../store/store.ts'
import { type LocalKey, UNBOUNDED } from './local-key.ts'
import type { Pace } from './pace.ts'

/** The part of a share that a node spends before it syncs, where that is not booked. */
const SPENT = 1 / 2
/** Round trips' worth of a node's own demand at which it has more booked. */
const LEAD = 1.5
/** Intervals, and round trips, of the others' demand that must be left, for a soft node to go on unbooked. */
const PLENTY_INTERVALS = 2
const PLENTY_ROUND_TRIPS = 20
/** Intervals' worth of a node's own demand that is booked for it at most. */
const AHEAD = 2
/** Of so much cost a node can tell nothing yet. */
const FEW = 8
/** What is pending of a new key, on all nodes, goes so many times into what is left, if that is not to count. */
const MUCH = 16
/** Intervals for which booked quota may be spent without a word to the store. */
const MOST_WAITS = 3
/** A node that is alone asks this often in a row for what the store has less of than it seems from here: clocks differ. */
const MOST_FRUITLESS = 3
/** A key of which nothing is left is asked about this often a window at most. */
const LOOKS = 10
/** By a node that is alone, besides, whenever such a part of the limit has been freed. */
const MOST_PARTS = 20
/** Slices of so few round trips are mostly over when the answer to a question in them comes. */
const SHORT = 4
/** What time frees in a saturated key, the nodes take in turns, of about this much. */
const TURN_SOFT = 7.5
const TURN_STRICT = 4.8
/** Where turns become shorter towards a slice's end, they are longer before. */
const TURN_SHRINKING = 7
/** Where it is booked ahead. */
const TURN_AHEAD = 6
/** For what part of a turn that is booked: rather more than there is, so that nothing is left over. */
const AHEAD_OF_TURN = 0.95
/** A turn that would end so near the slice's end lasts until that, in turns. */
const LAST_AHEAD = 1.5
/** Turns that there is still time for until the slice ends. */
const LAST_TURNS = 3
/** What is booked in a turn at most, in what time frees in it. */
const MOST = 1.3
/** Part of a turn that is booked at least, where it may go above the limit: turns are later than planned. */
const LEAST = 1.25
/** What is pending on another node when the store is asked, in what is pending here: less than half, since others ask early. */
const HIDDEN = 0.4

/** A node that is alone asks for no quota, and tells of no demand. */
const NOTHING: Ask = [0, 0, 0, 0]

/** Whether nobody else is known to ask for the key, or to hold any of it. */
function isAlone({ others, elsewhere }: Pace): boolean {
  return others === 0 && elsewhere === 0
}

/** Whether the key is as good as new. */
function isAsGoodAsNew({ current }: LocalKey, need: number): boolean {
  return need === 0 && current.admitted < FEW
}

/**
 * When to sync, and what to ask for. A node may spend its share (by demand) of what is left, and syncs when it has
 * spent a part of that: so the less is left, the sooner. A soft node counts on its share while plenty is left, and
 * has its quota booked in the store towards the end; a strict one spends nothing but booked quota.
 */
export class Pacing {
  nodes = 1
  /** Halves of an interval that it has gone through. */
  ticks = 0
  /** Store time at which another node came to have the counts; Infinity: none has yet, −Infinity: others may always have. */
  loneUntil = -Infinity
  /** From here on nothing is asked for, and what is booked is given back. */
  closing = false
  /** Milliseconds from a command to its answer, on average. */
  roundTrip = 1
  private readonly memory: number
  private readonly turn: number
  private readonly shrinks: boolean
  /** Whether what a log frees is booked before it is free. */
  private readonly booksAhead: boolean
  /** The longest that a key at its limit waits for what time frees. */
  private readonly pause: number

  constructor(private readonly settings: LimitSettings) {
    const { interval, limit } = settings
    this.memory = Math.max(2 * interval, limit.window / 8)
    this.shrinks = settings.strict && limit.algorithm === 'sliding-window'
    this.booksAhead = settings.strict && settings.extra === 0 && limit.algorithm === 'sliding-log'
    this.turn = this.shrinks
      ? TURN_SHRINKING
      : this.booksAhead
        ? TURN_AHEAD
        : settings.strict
          ? TURN_STRICT
          : TURN_SOFT
    this.pause = Math.min(interval, limit.window / LOOKS)
  }

  get lone(): boolean {
    return this.loneUntil === Infinity
  }

  /** In its first interval a node does not know of the others that start with it. */
  get young(): boolean {
    return this.ticks < 2 && !this.lone
  }

  heard(roundTrip: number): void {
    this.roundTrip += (roundTrip - this.roundTrip) / 8
  }

  /** Whether the key has not been watched for long enough to tell this node's share of it. */
  isNew(key: LocalKey): boolean {
    return !key.pace.isKnown(this.memory)
  }

  knowsShare(key: LocalKey): boolean {
    return this.nodes === 1 || !this.isNew(key)
  }

  /**
   * Whether what was admitted of a key before the store was heard of it must be settled at once: if all nodes have
   * admitted as much, it is a part of what is left that counts.
   */
  isPressing(key: LocalKey, now: number): boolean {
    const { limit, strict } = this.settings
    if (strict || this.young) return true
    return limit.limit - limit.usage(key.state, now) < MUCH * this.nodes * key.pending
  }

  private share(key: LocalKey): number {
    return key.pace.share(this.nodes, this.memory)
  }

  /** Whether the others, as far as they are known, can't use up what is left before the store is heard again. */
  private isPlenty(key: LocalKey, left: number): boolean {
    if (!this.knowsShare(key) || this.isScant) return false
    // Cost is whole: of what is less than one, nobody is expected to take any. But each fixed window begins anew, and
    // so does what is known of the others: there each node would admit one without having heard of them.
    const plenty = this.plenty(key)
    return left >= (this.settings.limit.lateSlices === 0 ? plenty : Math.floor(plenty))
  }

  /** Whether a fixed window has no more than one for two nodes: each would take its own before it had seen another one in it. */
  private get isScant(): boolean {
    const { limit, early } = this.settings
    return early && limit.lateSlices === 0 && 2 * limit.limit <= this.nodes
  }

  private plenty({ pace }: LocalKey): number {
    return (
      Math.max(PLENTY_INTERVALS * this.settings.interval, PLENTY_ROUND_TRIPS * this.roundTrip) * pace.others
    )
  }

  /** Whether a soft node has nothing booked: while plenty is left, or as long as the key is as good as new to it. */
  private countsUnbooked(key: LocalKey, left: number, need: number): boolean {
    return this.knowsShare(key) ? this.isPlenty(key, left) : isAsGoodAsNew(key, need)
  }

  /** What is left by the time `monotonic`, if the others went on as they did: what they took a window ago counts no more. */
  private expected(key: LocalKey, now: number, monotonic: number): number {
    const { limit } = this.settings
    const since = Math.min(monotonic - key.pace.heardAt, limit.window)
    return limit.limit - limit.usage(key.state, now) - Math.floor(key.pace.others * since)
  }

  /**
   * What will be left beside what is wanted, which passes unbooked only where plenty stays. Of a cost that was refused for more
   * than there is, nothing passes.
   */
  private leftBeside(key: LocalKey, need: number, now: number, monotonic: number): number {
    const { limit } = this.settings
    const left = this.expected(key, now, monotonic)
    const mayPass = key.isAwaited || need <= limit.limit - limit.usage(key.state, now)
    return mayPass ? left - need : left
  }

  /** What time has freed for this node since the store was heard, while it takes turns. */
  private freed(key: LocalKey, now: number): number {
    const { takesTurns, planned, usedThen } = key.pace
    if (!takesTurns) return 0
    const spent = planned - key.headroom
    return this.share(key) * (usedThen + spent - this.settings.limit.usage(key.state, now))
  }

  /** What to ask the store for; what is booked and not needed is given back. */
  ask(key: LocalKey, now: number, monotonic: number): Ask {
    const { interval, strict, early, extra } = this.settings
    const { need, offered, current } = key
    // Where nobody shares the key, how fast it is asked for is first looked at when somebody does.
    if (this.nodes === 1 && !strict && !key.isPaced && (!this.young || isAsGoodAsNew(key, need)))
      return NOTHING
    const { ownPace: pace } = key
    const { held } = current
    const fitting = offered - pace.oversized
    const asks = Math.max(fitting > 0 ? 1 : 0, need)
    pace.wanted = 0
    pace.asked = 0
    pace.hasAsked = asks > 0
    if (pace.look(offered, pace.oversized, monotonic, this.memory)) {
      key.offered = 0
      pace.oversized = 0
    }
    pace.demandSent = pace.sent
    pace.turnPending += (key.pending - pace.turnPending) / 8
    const nothing: Ask = [pace.demandSent, 0, 0, 0]
    if (asks === 0 || this.closing) {
      if (this.closing || monotonic - pace.heardAt > interval / 2) {
        // Where all that was left was booked here there is something to be asked for again.
        if (current.allowance > 0) pace.quietUntil = -Infinity
        key.giveUp()
        // A soft node that has nothing booked goes by its share of what is left, also until the answer is here.
        if (!strict && !this.closing) this.plan(key, now, monotonic)
      }
      return nothing
    }
    // Of a demand that has just begun little is known: several times what was wanted since it last asked, so that it asks seldom.
    const begun = strict && this.isNew(key) ? 4 * fitting : 0
    const most = Math.max(1, Math.ceil(AHEAD * pace.fitting * interval), begun)
    if (current.allowance > 2 * most) {
      current.giveBack(current.allowance - most)
      key.headroom = Math.min(key.headroom, current.allowance)
    }
    // Nobody asks a second time for a check of several limits: not even where the answer tells of more nodes.
    const isOnce = this.young && key.waiting.some(({ isPart }) => isPart)
    const counts = !strict && !isOnce
    if (!early || (counts && this.countsUnbooked(key, this.leftBeside(key, need, now, monotonic), need)))
      return nothing
    const share = Math.round(1e6 * this.share(key)) / 1e6
    if (pace.takesTurns && this.booksAhead) {
      // Of what is left over its share, and of what is freed until its next turn; the last one lasts until the slice ends.
      const rest = key.sliceEnd - now
      const span = rest < LAST_AHEAD * pace.turn ? rest : pace.turn
      const freed = Math.ceil((pace.freed * span) / pace.turn)
      const ahead = Math.ceil(AHEAD_OF_TURN * span)
      // No more of what is left than it can spend: what is counted as demand may be costs that nothing is booked for.
      const left = Math.max(1, this.settings.limit.limit - this.settings.limit.usage(key.state, now))
      const part = Math.min(share, Math.round((1e6 * most) / left) / 1e6)
      return [pace.demandSent, part, Math.max(asks, freed) + held, asks + held, ahead]
    }
    if (pace.takesTurns)
      return strict
        ? [
            pace.demandSent,
            1,
            Math.ceil(MOST * pace.freed) + held,
            (extra > 0 ? Math.max(Math.ceil(LEAST * pace.freed), asks) : asks) + held,
          ]
        : pace.hasLittle
          ? [pace.demandSent, 0, 1 + held, 1 + held]
          : nothing
    pace.asked = asks
    pace.asksFree = this.free(key, now) >= asks
    return [pace.demandSent, share, most + held, asks + held]
  }

  /** A new slice begins, of which the store has not spoken yet. */
  begin(key: LocalKey, now: number, monotonic: number): void {
    const { limit, strict, early } = this.settings
    if (strict) {
      key.headroom = 0
      // Booked quota has ended for all nodes at once: they do not come back at once, but for what is dealt out evenly.
      const { takesTurns, turn } = key.pace
      const wait = this.booksAhead ? 0 : this.settings.random() * turn
      if (!takesTurns) return
      // A key that is rarely asked for would be put off in each slice anew.
      if (this.hasMissedTurns(key, monotonic)) key.ownPace.takesTurns = false
      else key.ownPace.quietUntil = monotonic + wait
    } else if (limit.lateSlices === 0) {
      // Half of its share, until the store has booked more.
      if (key.isPaced) {
        const { ownPace } = key
        ownPace.heardAt = monotonic
        ownPace.isOutdated = true
        // What was asked for in the slice before in vain says nothing of this one.
        ownPace.asked = 0
        ownPace.fruitless = 0
        // So may be what was asked just now; of slices as short as a round trip each answer would come too late.
        if (limit.window > SHORT * this.roundTrip) ownPace.hasAsked = false
      }
      this.plan(key, now, monotonic)
      const half = Math.floor((limit.limit * this.share(key)) / 2)
      key.headroom = this.isScant ? 0 : Math.max(key.headroom, half)
      if (early) key.untilSync = Math.max(1, Math.floor(SPENT * key.headroom))
    }
  }

  /** Who has missed two turns takes them no more. */
  private hasMissedTurns({ pace: { turn, heardAt } }: LocalKey, monotonic: number): boolean {
    return monotonic - heardAt > Math.max(2 * (turn + this.roundTrip), this.pause)
  }

  /**
   * Whether the store was heard of the key in another fixed window, or longer ago than a window: others' share may be free now.
   * Where all is asked for, what is left of what was heard is free, as far as is known.
   */
  isOutdated({ pace }: LocalKey, monotonic: number): boolean {
    if (this.nodes === 1) return false
    return this.isScant || pace.isOutdated || monotonic - pace.heardAt > this.settings.limit.window
  }

  /** Where there was nothing left for this node when it asked; of what comes with its next turn nobody waits. */
  isScarce(key: LocalKey, now: number, monotonic: number): boolean {
    const { quietUntil, takesTurns } = key.pace
    if (quietUntil === -Infinity) return false
    if (takesTurns) return monotonic < quietUntil || !this.hasMissedTurns(key, monotonic)
    return monotonic < quietUntil && !this.hasMore(key, now)
  }

  /**
   * Whether a cost that is more than what is left is to be asked for: not where others ask too. What is booked for it could not be
   * spent, and the others would be refused for it.
   */
  asksForMore({ pace }: LocalKey): boolean {
    return isAlone(pace)
  }

  /** Whether what is known of the key is so old that more may be left by now. */
  isOld({ pace }: LocalKey, monotonic: number): boolean {
    return monotonic - pace.heardAt >= this.pause
  }

  /** Whether a node that is alone would find so much that time has freed since it asked, that it is worth asking. */
  private hasMore(key: LocalKey, now: number): boolean {
    const { limit } = this.settings
    const { fruitless, asksFree } = key.pace
    if (!isAlone(key.pace) || (asksFree && fruitless >= MOST_FRUITLESS)) return false
    return this.free(key, now) >= limit.limit / MOST_PARTS
  }

  /** What is left and not booked for this node, as it seems from here. */
  private free({ state, current }: LocalKey, now: number): number {
    const { limit } = this.settings
    return limit.limit - limit.usage(state, now) - current.allowance - current.ahead
  }

  /** Whether what the key owes was booked, and is being used up, so that it will be settled with the next question. */
  canWait(key: LocalKey, monotonic: number): boolean {
    const { current, late, pace, offered } = key
    // What was spent of a turn is told with the next one, which is not far.
    if (pace.takesTurns && !late.owes && monotonic < pace.quietUntil) return true
    if (late.owes || current.allowance === 0) return false
    const fitting = offered - pace.oversized
    return monotonic - pace.heardAt < MOST_WAITS * this.settings.interval && pace.isSteady(fitting, monotonic)
  }

  /**
   * Takes in what the store said of a key in `slice`.
   *
   * @param demand that of all nodes
   * @param elsewhere what is booked for the others
   */
  learn(
    key: LocalKey,
    slice: number,
    demand: number,
    elsewhere: number,
    now: number,
    monotonic: number,
  ): void {
    const { limit, interval } = this.settings
    const since = now - slice * limit.window
    const fresh = limit.lateSlices === 0 && since < 1.2 * interval
    // What was booked, or asked for, in a slice that has ended since, can't be spent in this one.
    const behind = key.slice - slice
    const booked = behind > limit.lateSlices ? 0 : elsewhere
    if (key.isPaced || demand > 0 || booked > 0) {
      const { ownPace } = key
      ownPace.hear(demand, ownPace.demandSent, slice, fresh)
      ownPace.heardAt = monotonic
      // Who only looks, such as a peek, is booked nothing: a check after it must not be refused for that.
      if (ownPace.hasAsked) ownPace.isOutdated = false
      ownPace.elsewhere = booked
      if (behind > 0) ownPace.asked = 0
      ownPace.fruitless = ownPace.asked > key.current.allowance ? ownPace.fruitless + 1 : 0
    }
    const isSpent = this.willBeSpent(key, now)
    if (booked > 0 && isSpent) limit.settle(key.state, now, key.behind(slice, now), booked)
    if (key.isPaced) key.ownPace.besides = isSpent ? 0 : booked
    this.plan(key, now, monotonic)
  }

  /**
   * Whether what is booked for others counts as used. Within the limit it does; what may go above it is there for
   * when others hold quota that they will not use up: when all demand is below what is left.
   */
  private willBeSpent(key: LocalKey, now: number): boolean {
    const { limit, extra } = this.settings
    if (extra === 0) return true
    if (key.pace.takesTurns) return false
    const rest = limit.lateSlices === 0 ? key.sliceEnd - now : limit.window
    const { own, others } = key.pace
    return (own + others) * rest >= limit.limit - limit.usage(key.state, now)
  }

  /** Whether the store, as it was just heard, would book the cost for this node. */
  isBookable(key: LocalKey, cost: number, now: number): boolean {
    const { limit, extra } = this.settings
    const left = limit.limit - limit.usage(key.state, now)
    return left - key.pace.besides + extra >= cost
  }

  /** How far a key may go from here, until the store is heard again. */
  plan(key: LocalKey, now: number, monotonic: number): void {
    const { limit, strict, early } = this.settings
    if (!early || (!key.known && !strict)) {
      key.headroom = UNBOUNDED
      key.untilSync = UNBOUNDED
      return
    }
    const left = limit.limit - limit.usage(key.state, now)
    const { allowance, ahead } = key.current
    const booked = allowance + ahead
    const { own, fitting, others, elsewhere, asked, fruitless } = key.pace
    const flow = limit.flow(key.state, now, limit.limit)
    // A node that is alone has nobody to take turns with.
    const alone = isAlone(key.pace)
    const saturated = flow > 0 && own + others > flow && left - booked < (own + others) * this.pause
    // Of less than one nobody can take a share: it is booked by whoever asks.
    const isShared = strict || this.share(key) * limit.limit >= 1
    if (saturated && !alone && isShared) {
      this.takeTurn(key, left, now, monotonic)
      return
    }
    if (key.isPaced) key.ownPace.takesTurns = false
    const plenty = !strict && this.isPlenty(key, left)
    const counts = plenty || (!strict && !this.knowsShare(key))
    // It asked for nothing while plenty was left: until some is booked, it goes by a part of its share.
    const crosses = !strict && !counts && asked === 0
    const part = counts ? this.share(key) * left : crosses ? SPENT * this.share(key) * (left - allowance) : 0
    const quota = Math.max(allowance, Math.floor(part))
    key.headroom = plenty ? Math.max(quota, Math.floor(left / 2)) : quota
    const lead = LEAD * fitting * this.roundTrip
    const until = counts ? Math.floor(SPENT * quota) : Math.round((crosses ? allowance : quota) - lead)
    // All nodes begin to book at about one time: what is not booked is not there for one that goes on without.
    const over = plenty ? this.share(key) * (left - this.plenty(key)) : Infinity
    // Others that start at the same time are not known yet.
    const again = this.young && !strict ? Math.max(FEW, key.current.admitted) : Infinity
    key.untilSync = Math.max(1, Math.min(until, again, Math.ceil(over)))
    const asksAgain = alone && fruitless < MOST_FRUITLESS
    if (left - booked >= 1 && (asksAgain || allowance >= asked)) {
      if (key.isPaced) key.ownPace.quietUntil = -Infinity
    } else {
      // To ask again is of use when time has freed some, or others gave theirs back. Of a bucket what is booked does not
      // drain until the store is told that it was spent: where that is most of it, at once.
      key.untilSync = strict && isBucket(limit) && 2 * booked > limit.limit ? booked : UNBOUNDED
      const changes = limit.lateSlices > 0 || elsewhere > 0 || (fruitless > 0 && left - booked >= 1)
      key.ownPace.quietUntil = changes ? monotonic + this.pause : Infinity
    }
  }

  /**
   * What a saturated key frees is taken by whoever asks, in turns that come to each node by its share. A soft node
   * counts on its share of it, corrected by what is left or was taken too much; what the others took since their last
   * turns, half a turn ago on average, the store does not know of.
   */
  private takeTurn(key: LocalKey, left: number, now: number, monotonic: number): void {
    const { limit } = this.settings
    const share = this.share(key)
    // In what is booked bursts come back as gaps and bursts: turns of one length smooth them.
    const flow = limit.flow(key.state, now, this.settings.strict ? limit.limit : this.turn / share)
    const shortest = 2 * this.roundTrip
    const longest = Math.max(this.settings.interval, this.pause)
    const whole = Math.min(Math.max(this.turn / (share * flow), shortest), longest)
    // What is booked when a sliding window's slice ends, and not spent, nobody gets: turns become shorter towards it.
    const last = this.shrinks ? Math.max((key.sliceEnd - now) / LAST_TURNS, shortest) : whole
    const turn = Math.min(whole, last)
    const { current, ownPace: pace } = key
    const { allowance } = current
    // Until it is known what is pending in a turn, it is taken to be all of it.
    if (!pace.takesTurns) pace.turnPending = Math.max(pace.turnPending, share * flow * turn)
    pace.takesTurns = true
    pace.turn = turn
    pace.freed = (this.turn * turn) / whole
    pace.quietUntil = monotonic + turn
    pace.hasLittle = share * flow * turn < 1
    if (this.settings.strict) {
      key.headroom = allowance
      key.untilSync = UNBOUNDED
      // It has its next turn when it may spend the last of what is booked.
      if (current.ahead > 0) pace.quietUntil = monotonic + Math.max(0, current.lastStart - now)
    } else {
      // This node's share of it. Without demand of its own it has none: nor a division by it.
      const hidden = HIDDEN * (1 - share) * pace.turnPending
      const least = allowance > 0 ? 0 : -this.turn
      // What is booked can be spent: nobody else counts on it.
      key.headroom = allowance + Math.max(least, share * left - hidden)
      pace.planned = key.headroom
      pace.usedThen = limit.limit - left
      key.untilSync = this.turn
    }
  }

  /** Milliseconds for which quota is booked ahead at most; none is: −∞. */
  get furthest(): number {
    const { booksAhead, settings, pause } = this
    return booksAhead ? Math.ceil(LAST_AHEAD * Math.max(settings.interval, pause)) : -Infinity
  }

  /** Whether a soft node may admit the cost beyond its headroom. */
  mayExceed(key: LocalKey, cost: number, now: number, monotonic: number): boolean {
    if (this.isPlenty(key, this.expected(key, now, monotonic) - cost)) return true
    return key.headroom - cost >= -this.freed(key, now)
  }
}
