import { type Decision, type DecisionSource, decisionOf, refusal } from '../../decision.ts'
import { type Duration, durationMs } from '../../duration.ts'
import { type Algorithm, checkCount, checkNumbers, type Limit, type Numbers } from '../algorithm.ts'

/**
 * The admissions of the last window, oldest first, one entry a millisecond. Written down as: a = total, b = newest, and
 * the entries, which may sum to less than the total: the rest then counts as the newest.
 */
export class SlidingLogState {
  times: number[] = []
  costs: number[] = []
  /** The place of the oldest entry that still counts; those before it are only cut off now and then. */
  head = 0
  total = 0
}

/** Expired entries that are kept before the arrays are cut. */
const SLACK = 256

class SlidingLog implements Algorithm<SlidingLogState> {
  readonly algorithm = 'sliding-log'
  readonly lateSlices = 1
  readonly parameters: readonly number[]

  constructor(
    readonly limit: number,
    readonly window: number,
  ) {
    this.parameters = [limit, window]
  }

  create(): SlidingLogState {
    return new SlidingLogState()
  }

  cells(): undefined {}

  /** Forgets what was admitted at `now` − window or before. */
  private expire(state: SlidingLogState, now: number): void {
    const { times, costs } = state
    const cutoff = now - this.window
    while (state.head < times.length && (times[state.head] as number) <= cutoff) {
      state.total -= costs[state.head] as number
      state.head++
    }
    if (state.head > SLACK && state.head * 2 > times.length) {
      times.splice(0, state.head)
      costs.splice(0, state.head)
      state.head = 0
    }
  }

  private newest(state: SlidingLogState): number {
    return state.total > 0 ? (state.times[state.times.length - 1] as number) : 0
  }

  private insert(state: SlidingLogState, time: number, cost: number): void {
    const { times, costs } = state
    let place = times.length
    while (place > state.head && (times[place - 1] as number) > time) place--
    if (place > state.head && times[place - 1] === time) {
      costs[place - 1] = (costs[place - 1] as number) + cost
    } else if (place === times.length) {
      times.push(time)
      costs.push(cost)
    } else {
      times.splice(place, 0, time)
      costs.splice(place, 0, cost)
    }
    state.total += cost
  }

  take(
    state: SlidingLogState,
    now: number,
    cost: number,
    source: DecisionSource,
    consume: boolean,
  ): Decision {
    this.expire(state, now)
    const left = this.limit - state.total
    if (cost <= left) {
      const time = Math.max(now, this.newest(state))
      if (consume) this.insert(state, time, cost)
      return decisionOf(true, this.limit, left - cost, 0, time + this.window - now, 0, source)
    }
    const reset = state.total > 0 ? this.newest(state) + this.window - now : 0
    if (cost > this.limit) return refusal(left, this.limit, Infinity, reset, source, 'cost')
    const retry = this.freedAt(state, cost - left) - now
    return refusal(left, this.limit, retry, reset, source, 'limit')
  }

  /** When `cost` of what is in the log has expired. */
  private freedAt(state: SlidingLogState, cost: number): number {
    let freed = 0
    let place = state.head
    for (; place < state.times.length; place++) {
      freed += state.costs[place] as number
      if (freed >= cost) break
    }
    return (state.times[place] as number) + this.window
  }

  settle(
    state: SlidingLogState,
    now: number,
    behind: number,
    cost: number,
    entries?: readonly number[],
  ): void {
    this.expire(state, now)
    if (behind > 1) return
    const latest = Math.max(now, this.newest(state))
    if (entries === undefined) {
      this.insert(state, latest, cost)
      return
    }
    // `cost` is what is new: the last of the entries.
    let left = cost
    for (let place = entries.length - 2; place >= 0 && left > 0; place -= 2) {
      const part = Math.min(left, entries[place + 1] as number)
      left -= part
      const time = Math.min(latest, entries[place] as number)
      if (time > now - this.window) this.insert(state, time, part)
    }
  }

  refund(state: SlidingLogState, now: number, _behind: number, cost: number, at?: number): number {
    this.expire(state, now)
    // What has expired can't go back: what came after it is others'.
    if (at !== undefined) return at > now - this.window ? this.remove(state, cost, at) : 0
    const { times, costs } = state
    let left = Math.min(cost, state.total)
    state.total -= left
    const back = left
    while (left > 0) {
      const last = costs.length - 1
      const part = Math.min(left, costs[last] as number)
      left -= part
      costs[last] = (costs[last] as number) - part
      if (costs[last] === 0) {
        times.pop()
        costs.pop()
      }
    }
    return back
  }

  /** Takes cost out of the entries from `at` on, oldest first, so that nothing that is left expires too soon. */
  private remove(state: SlidingLogState, cost: number, at: number): number {
    const { times, costs } = state
    let left = cost
    let place = state.head
    while (left > 0 && place < times.length) {
      if ((times[place] as number) < at) {
        place++
        continue
      }
      const part = Math.min(left, costs[place] as number)
      left -= part
      state.total -= part
      costs[place] = (costs[place] as number) - part
      if (costs[place] === 0) {
        times.splice(place, 1)
        costs.splice(place, 1)
      }
    }
    return cost - left
  }

  bookAhead(state: SlidingLogState, now: number, until: number, gap: number, cost: number): number[] {
    this.expire(state, now)
    const { times, costs } = state
    const starts: number[] = []
    let left = cost
    let due = now + gap / 2
    let place = state.head
    while (left > 0 && place < times.length) {
      const start = (times[place] as number) + this.window
      if (start > until) break
      const passed = start < due ? 0 : Math.floor((start - due) / gap) + 1
      const part = Math.min(left, costs[place] as number, passed)
      if (part > 0) {
        left -= part
        due = Math.max(due + part * gap, start + gap / 2)
        starts.push(start, part)
        state.total -= part
        costs[place] = (costs[place] as number) - part
      }
      if (costs[place] === 0) {
        times.splice(place, 1)
        costs.splice(place, 1)
      } else place++
    }
    return starts
  }

  usage(state: SlidingLogState, now: number): number {
    this.expire(state, now)
    return state.total
  }

  /** What was admitted in a burst is freed in a burst. */
  flow(state: SlidingLogState, now: number, cost: number): number {
    this.expire(state, now)
    if (state.total === 0) return 0
    const freed = Math.min(cost, state.total)
    return freed / Math.max(1, this.freedAt(state, freed) - now)
  }

  endsAt(state: SlidingLogState): number {
    return this.newest(state) + this.window
  }

  save(state: SlidingLogState, numbers: Numbers): void {
    numbers.a = state.total
    numbers.b = this.newest(state)
    numbers.entries = []
    for (let place = state.head; place < state.times.length; place++) {
      numbers.entries.push(state.times[place] as number, state.costs[place] as number)
    }
  }

  load(state: SlidingLogState, numbers: Numbers): void {
    state.times = []
    state.costs = []
    state.head = 0
    state.total = 0
    const entries = numbers.entries ?? []
    for (let place = 0; place < entries.length; place += 2) {
      this.insert(state, entries[place] as number, entries[place + 1] as number)
    }
    if (state.total < numbers.a) this.insert(state, numbers.b, numbers.a - state.total)
  }

  share(nodes: number): SlidingLog {
    return new SlidingLog(Math.max(1, Math.floor(this.limit / nodes)), this.window)
  }

  with([limit, window]: readonly [number, number]): SlidingLog {
    return new SlidingLog(limit, window)
  }
}

/**
 * At most `limit` in every stretch of `window`, exactly: each admission is remembered until it is one window
 * old. Costs memory and time with the limit; choose it where the limit is small and must be exact.
 *
 * @param numbers `limit`: an integer from 1 to 2^31 − 1; `window`: a {@link Duration} from 1 ms to 730 days
 * @throws ConfigError `ERR_LIMIT` or `ERR_DURATION`
 * @example
 * ```ts
 * import { slidingLog } from '@spillway/core'
 *
 * const fiveLoginsIn15Minutes = slidingLog({ limit: 5, window: '15m' })
 * ```
 */
export function slidingLog(numbers: { limit: number; window: Duration }): Limit {
  checkNumbers(numbers, ['limit', 'window'], "slidingLog({ limit: 5, window: '1m' })")
  checkCount(numbers.limit, 'slidingLog: limit')
  return new SlidingLog(numbers.limit, durationMs(numbers.window, 'slidingLog: window'))
}
