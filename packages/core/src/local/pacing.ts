import type { Settings } from '../options.ts'
import type { Ask, Snapshot } from '../store/store.ts'
import type { LocalKey } from './local-key.ts'

/** The part of its quota that a node spends before it syncs early. */
const SPENT_SOFT = 1 / 2
const SPENT_STRICT = 3 / 4
/** Round trips of the others' demand that must be left, for a soft node to go on without booked quota. */
const COMFORT = 20
/** Intervals' worth of a node's own demand that is booked for it at most. */
const AHEAD = 2
/** While a key is at its limit and time frees quota, it is asked about this often a window at most. */
const LOOKS = 10

/**
 * When to sync, and what to ask for. A node may spend its share (by demand) of what is left, and syncs when it has
 * spent a part of that: so the less is left, the sooner. A soft node counts on its share while plenty is left, and
 * has its quota booked in the store towards the end; a strict one spends nothing but booked quota.
 */
export class Pacing {
  nodes = 1
  /** Milliseconds from a command to its answer, on average. */
  roundTrip = 1
  private readonly memory: number
  /** The longest that a key at its limit waits for what time frees. */
  private readonly pause: number

  constructor(private readonly settings: Settings) {
    const { interval, limit } = settings
    this.memory = Math.max(2 * interval, limit.window / 8)
    this.pause = Math.min(interval, limit.window / LOOKS)
  }

  heard(roundTrip: number): void {
    this.roundTrip += (roundTrip - this.roundTrip) / 8
  }

  private share(key: LocalKey): number {
    return key.demand.share(this.nodes)
  }

  private isComfortable(key: LocalKey, left: number): boolean {
    return left >= COMFORT * this.roundTrip * key.demand.others
  }

  /** What is left by the time `monotonic`, if the others went on as they did. */
  private expected(key: LocalKey, now: number, monotonic: number): number {
    const { limit } = this.settings
    return limit.limit - limit.usage(key.state, now) - key.demand.others * (monotonic - key.heardAt)
  }

  /** What time has freed for this node since the store was heard. */
  private freed(key: LocalKey, now: number, monotonic: number): number {
    const flow = this.settings.limit.flow(key.state, now)
    return flow === 0 ? 0 : Math.floor(this.share(key) * flow * (monotonic - key.heardAt))
  }

  /** What to ask the store for; what is booked and not needed is given back. */
  ask(key: LocalKey, now: number, monotonic: number): Ask {
    const { demand, current } = key
    const { interval, strict, early } = this.settings
    const idle = demand.offered === 0 && monotonic - key.heardAt > interval / 2
    demand.look(monotonic, this.memory)
    key.demandSent = demand.sent
    const most = Math.max(1, Math.ceil(AHEAD * demand.own * interval))
    if (idle) key.giveUp()
    else if (current.allowance > 2 * most) {
      current.giveBack(current.allowance - most)
      key.headroom = Math.min(key.headroom, current.allowance)
    }
    let need = key.wanted
    for (const waiter of key.waiting) if (waiter.consume) need += waiter.cost
    key.wanted = 0
    key.asked = 0
    if (!early || (!strict && key.known && this.isComfortable(key, this.expected(key, now, monotonic))))
      return [key.demandSent, 0, 0, 0]
    key.asked = Math.max(need, this.freed(key, now, monotonic))
    const fraction = Math.round(1e6 * this.share(key)) / 1e6
    return [key.demandSent, fraction, most, key.asked]
  }

  /** A new slice begins, of which the store has not spoken yet. */
  begin(key: LocalKey, now: number, monotonic: number): void {
    const { limit, strict } = this.settings
    if (strict) {
      key.headroom = 0
    } else if (limit.lateSlices === 0) {
      key.heardAt = monotonic
      this.plan(key, now, monotonic)
    }
  }

  /** Takes in what the store said of a key. */
  learn(key: LocalKey, snapshot: Snapshot, now: number, monotonic: number): void {
    const { limit, interval } = this.settings
    const since = now - snapshot.slice * limit.window
    const fresh = limit.lateSlices === 0 && since < 1.2 * interval
    key.demand.hear(snapshot.demand, key.demandSent, snapshot.slice, fresh)
    key.heardAt = monotonic
    this.plan(key, now, monotonic)
  }

  /** How far a key may go from here, until the store is heard again. */
  plan(key: LocalKey, now: number, monotonic: number): void {
    const { limit, strict, early } = this.settings
    if (!early || (!key.known && !strict)) {
      key.headroom = Infinity
      key.untilSync = Infinity
      return
    }
    const left = limit.limit - limit.usage(key.state, now)
    const { allowance } = key.current
    const comfortable = !strict && this.isComfortable(key, left)
    const quota = comfortable ? Math.max(allowance, Math.floor(this.share(key) * left)) : allowance
    key.headroom = comfortable ? Math.max(quota, Math.floor(left / 2)) : quota
    const ahead = 1.5 * key.demand.own * this.roundTrip
    const spent = strict ? SPENT_STRICT : SPENT_SOFT
    key.untilSync = Math.max(1, Math.floor(Math.min(spent * quota, quota - ahead)))
    if (left - allowance >= 1 && allowance >= key.asked) key.quietUntil = -Infinity
    else {
      // All is spent or booked: to ask again is of use when time has freed some, or others gave theirs back.
      key.untilSync = Infinity
      const changes = limit.lateSlices > 0 || key.bookedElsewhere
      key.quietUntil = changes ? monotonic + this.pause : Infinity
    }
  }

  /** Whether a soft node may admit the cost beyond its headroom. */
  mayExceed(key: LocalKey, cost: number, now: number, monotonic: number): boolean {
    if (this.isComfortable(key, this.expected(key, now, monotonic) - cost)) return true
    return key.headroom - cost >= -this.freed(key, now, monotonic)
  }
}
