import type { LimitSettings } from '../options.ts'
import type { LocalKey } from './local-key.ts'
import type { Pace } from './pace.ts'

/** A soft node goes on unbooked while the others' demand in so many intervals, and round trips, is left. */
const PLENTY_INTERVALS = 2
const PLENTY_ROUND_TRIPS = 20
/** Pending of a new key, on all nodes together, counts only if what is left is below this many times as much. */
const MUCH = 16
/** A key with nothing left is asked about once an interval, or this often a window if that is more often. */
const LOOKS = 10

/** Whether no other node is known to ask for the key or to have any of it booked. */
export function isAlone({ others, elsewhere }: Pace): boolean {
  return others === 0 && elsewhere === 0
}

/** What is left of a key, as it seems from here, and what of that is this node's: all that pacing goes by. */
export class Outlook {
  nodes = 1
  /** Half intervals that have passed. */
  ticks = 0
  /** Store time at which another node opened the counts; Infinity: none has yet, −Infinity: others may always have. */
  loneUntil = -Infinity
  /** Milliseconds from a command to its answer, on average. */
  roundTrip = 1
  /** The same of the last answer: the average learns of a far store only after a while. */
  protected lastTrip = 1
  /** Milliseconds for which demand is remembered. */
  protected readonly memory: number
  /** Milliseconds before a key with nothing left is asked about again. */
  readonly pause: number

  constructor(protected readonly settings: LimitSettings) {
    const { interval, limit } = settings
    this.memory = Math.max(2 * interval, limit.window / 8)
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
    this.lastTrip = roundTrip
  }

  /** Whether the key has not been watched for long enough to tell this node's share of it. */
  isNew(key: LocalKey): boolean {
    return !key.pace.isKnown(this.memory)
  }

  knowsShare(key: LocalKey): boolean {
    return this.nodes === 1 || !this.isNew(key)
  }

  share(key: LocalKey): number {
    return key.pace.share(this.nodes, this.memory)
  }

  /** How much of the limit is not in use, as far as the node knows. */
  left({ state }: LocalKey, now: number): number {
    const { limit } = this.settings
    return limit.limit - limit.usage(state, now)
  }

  /** What is left and not booked for this node, as it seems from here. */
  free(key: LocalKey, now: number): number {
    const { current } = key
    return this.left(key, now) - current.allowance - current.ahead
  }

  /** What is left by now if the others went on as before. What they took a window ago no longer counts. */
  protected expected(key: LocalKey, now: number, monotonic: number): number {
    const { limit } = this.settings
    const since = Math.min(monotonic - key.pace.heardAt, limit.window)
    const left = this.left(key, now)
    return left - Math.floor(this.others(key, left) * since)
  }

  /** Whether so much cost on each node is a considerable part of what is left. */
  protected isMuch(key: LocalKey, cost: number, now: number): boolean {
    return MUCH * this.nodes * cost > this.left(key, now)
  }

  /** Whether the others, at their known demand, can't use up what is left before the store is heard again. */
  protected isPlenty(key: LocalKey, left: number, now: number): boolean {
    if (!this.knowsShare(key) || this.isScant) return false
    // Cost is whole: the others are not expected to take a fraction of one. But a fixed window begins anew, as does
    // what is known of the others: there each node would admit one without having heard of them.
    const plenty = this.plenty(key, now)
    return left >= (this.settings.limit.lateSlices === 0 ? plenty : Math.floor(plenty))
  }

  /** What the others, at their known demand, may use up before the store is heard again. */
  protected plenty(key: LocalKey, now: number): number {
    const ms = Math.max(PLENTY_INTERVALS * this.settings.interval, PLENTY_ROUND_TRIPS * this.roundTrip)
    return ms * this.others(key, this.left(key, now))
  }

  /** Whether a fixed window has at most one for two nodes: each would take one before it sees the others'. */
  protected get isScant(): boolean {
    const { limit, early } = this.settings
    return early && limit.lateSlices === 0 && 2 * limit.limit <= this.nodes
  }

  /**
   * The others' demand, of which they may admit so much unheard. Large costs are in it only once there is room for one:
   * before, they would let nothing pass unbooked though plenty is left for the small ones.
   */
  private others({ pace }: LocalKey, left: number): number {
    return left < pace.large ? pace.others : pace.othersWhole
  }
}
