import type { LimitSettings } from '../options.ts'
import type { Ask } from '../store/store.ts'
import { type LocalKey, UNBOUNDED } from './local-key.ts'
import type { Outlook } from './outlook.ts'

/** A turn lasts until time has freed about this much cost for the node. */
const SOFT = 7.5
const STRICT = 4.8
/** For a strict sliding window: turns become shorter towards a slice's end, so they start longer. */
const SHRINKING = 7
/** For a log whose quota is booked ahead. */
const AHEAD = 6
/** A turn's quota is booked ahead for this part of it: slightly more than there is, so that nothing is left over. */
const AHEAD_OF_TURN = 0.95
/** If the slice ends within this many turns, the turn lasts until the slice's end. */
const LAST_AHEAD = 1.5
/** At least this many turns of a strict sliding window still fit into its slice. */
const LAST_TURNS = 3
/** A strict node books at most this many times what time frees in its turn. */
const MOST = 1.3
/** At least this many times, if it may book above the limit: turns come later than planned. */
const LEAST = 1.25
/** Pending on another node when this one asks, as a part of what is pending here: below half, as others ask early. */
const HIDDEN = 0.4

/** A share as it is sent: in millionths. */
export function asPart(share: number): number {
  return Math.round(1e6 * share) / 1e6
}

/**
 * Nodes take what time frees of a saturated key in turns, the more often the larger their share. A soft node counts
 * on its share of it, corrected by what is left or overdrawn. The store does not know of what the others took since
 * their last turns, half a turn ago on average.
 */
export class Turns {
  /** What time frees in a whole turn, about. */
  private readonly cost: number
  private readonly shrinks: boolean
  /** Whether what a log frees is booked before it is free. */
  private readonly booksAhead: boolean

  constructor(
    private readonly settings: LimitSettings,
    private readonly outlook: Outlook,
  ) {
    const { strict, extra, limit } = settings
    this.shrinks = strict && limit.algorithm === 'sliding-window'
    this.booksAhead = strict && extra === 0 && limit.algorithm === 'sliding-log'
    this.cost = this.shrinks ? SHRINKING : this.booksAhead ? AHEAD : strict ? STRICT : SOFT
  }

  /** The longest time for which quota is booked ahead, in milliseconds; −∞ if it never is. */
  get furthest(): number {
    return this.booksAhead ? Math.ceil(LAST_AHEAD * this.settings.interval) : -Infinity
  }

  /** A turn begins with what the store has just said: plans how far the key may go in it. */
  take(key: LocalKey, left: number, now: number, monotonic: number): void {
    const { limit, strict, interval } = this.settings
    const share = this.outlook.share(key)
    // Booked as they come, bursts return as gaps and bursts: the average flow of the whole limit smooths them.
    const flow = limit.flow(key.state, now, strict ? limit.limit : this.cost / share)
    const shortest = 2 * this.outlook.roundTrip
    const whole = Math.min(Math.max(this.cost / (share * flow), shortest), interval)
    // Quota booked but unspent at the end of a sliding window's slice is lost: turns become shorter towards it.
    const last = this.shrinks ? Math.max((key.sliceEnd - now) / LAST_TURNS, shortest) : whole
    const turn = Math.min(whole, last)
    const { current, ownPace: pace } = key
    const { allowance } = current
    // Until it is known how much of a turn is pending, all of it is taken to be.
    if (!pace.takesTurns) pace.turnPending = Math.max(pace.turnPending, share * flow * turn)
    pace.takesTurns = true
    pace.turn = turn
    pace.freed = (this.cost * turn) / whole
    pace.quietUntil = monotonic + turn
    if (strict) {
      key.headroom = allowance
      key.untilSync = UNBOUNDED
      // The next turn comes when the node may spend the last of its booked quota.
      if (current.ahead > 0) pace.quietUntil = monotonic + Math.max(0, current.lastStart - now)
    } else {
      // This node's share of what is pending elsewhere; not divided by the share, which may be 0.
      const hidden = HIDDEN * (1 - share) * pace.turnPending
      const least = allowance > 0 ? 0 : -this.cost
      // Booked quota can be spent in any case: nobody else counts on it.
      key.headroom = allowance + Math.max(least, share * (left - allowance) - hidden)
      pace.planned = key.headroom
      pace.usedThen = limit.limit - left
      key.untilSync = this.cost
    }
  }

  /** Cost that time has freed for this node since the store was heard; 0 for one that takes no turns. */
  freed(key: LocalKey, now: number): number {
    const { takesTurns, planned, usedThen } = key.pace
    if (!takesTurns) return 0
    const spent = planned - key.headroom
    return this.outlook.share(key) * (usedThen + spent - this.settings.limit.usage(key.state, now))
  }

  /** A node that has missed two turns takes no more. */
  hasMissed({ pace: { turn, heardAt } }: LocalKey, monotonic: number): boolean {
    return monotonic - heardAt > Math.max(2 * (turn + this.outlook.roundTrip), this.outlook.pause)
  }

  /** Booked quota ends for all nodes at once: they come back at random times, unless it is dealt out evenly. */
  comesBackAfter({ pace: { turn } }: LocalKey): number {
    return this.booksAhead ? 0 : this.settings.random() * turn
  }

  /**
   * What a strict node asks for in its turn.
   *
   * @param asks the least that is of use
   * @param most the most that it can spend of what is left
   */
  ask(key: LocalKey, asks: number, most: number, now: number): Ask {
    if (this.booksAhead) return this.askAhead(key, asks, most, now)
    const { demandSent, freed } = key.pace
    const { held } = key.current
    const least = this.settings.extra > 0 ? Math.max(Math.ceil(LEAST * freed), asks) : asks
    return [demandSent, 1, Math.ceil(MOST * freed) + held, least + held]
  }

  /** Its share of what is left, plus what is freed until its next turn. The slice's last turn lasts until its end. */
  private askAhead(key: LocalKey, asks: number, most: number, now: number): Ask {
    const { demandSent, turn, freed } = key.pace
    const { held } = key.current
    const rest = key.sliceEnd - now
    const span = rest < LAST_AHEAD * turn ? rest : turn
    const until = Math.ceil((freed * span) / turn)
    // No more of what is left than it can spend: its demand may include costs for which nothing is booked.
    const left = Math.max(1, this.outlook.left(key, now))
    const part = Math.min(asPart(this.outlook.share(key)), asPart(most / left))
    return [demandSent, part, Math.max(asks, until) + held, asks + held, Math.ceil(AHEAD_OF_TURN * span)]
  }
}
