import { type Decision, type DecisionSource, decisionOf, refusal } from '../../decision.ts'
import { type Duration, durationMs } from '../../duration.ts'
import { type Algorithm, checkCount, checkNumbers, type Limit, type Numbers } from '../algorithm.ts'
import { mulDiv, mulDivUp } from '../arithmetic.ts'
import { Cells } from '../cells.ts'
import { Slices } from '../slices.ts'

/** Written down as: a = end, b = current, c = previous. */
export class SlidingWindowState {
  /** The current window's number. */
  slice = -1
  current = 0
  previous = 0
}

class SlidingWindowCells extends Cells implements SlidingWindowState {
  get slice(): number {
    return this.numbers[this.at] as number
  }

  set slice(number: number) {
    this.numbers[this.at] = number
  }

  get current(): number {
    return this.numbers[this.at + 1] as number
  }

  set current(number: number) {
    this.numbers[this.at + 1] = number
  }

  get previous(): number {
    return this.numbers[this.at + 2] as number
  }

  set previous(number: number) {
    this.numbers[this.at + 2] = number
  }

  clear(): void {
    this.slice = -1
    this.current = 0
    this.previous = 0
  }
}

class SlidingWindow implements Algorithm<SlidingWindowState> {
  readonly algorithm = 'sliding-window'
  readonly lateSlices = 1
  readonly parameters: readonly number[]
  private readonly slices: Slices

  constructor(
    readonly limit: number,
    readonly window: number,
  ) {
    this.parameters = [limit, window]
    this.slices = new Slices(window)
  }

  create(): SlidingWindowState {
    return new SlidingWindowState()
  }

  cells(): SlidingWindowCells {
    return new SlidingWindowCells()
  }

  private roll(state: SlidingWindowState, now: number): void {
    const slice = this.slices.at(now)
    if (slice > state.slice) this.begin(state, slice)
  }

  private begin(state: SlidingWindowState, slice: number): void {
    state.previous = slice === state.slice + 1 ? state.current : 0
    state.current = 0
    state.slice = slice
  }

  /** Milliseconds until the current window ends. */
  private rest(state: SlidingWindowState, now: number): number {
    return this.slices.end(state.slice) - now
  }

  /**
   * What of the previous window still counts: its count × the share that the last `window` milliseconds cover.
   *
   * @param rest milliseconds until the current window ends. Not the time: where V8 calls this, any number but a small
   * integer would be made an object
   */
  private weighted(state: SlidingWindowState, rest: number): number {
    if (state.previous === 0) return 0
    return mulDivUp(state.previous, Math.min(rest, this.window), this.window)
  }

  take(
    state: SlidingWindowState,
    now: number,
    cost: number,
    source: DecisionSource,
    consume: boolean,
  ): Decision {
    this.roll(state, now)
    const rest = this.rest(state, now)
    const left = this.limit - state.current - this.weighted(state, rest)
    if (cost > left) return this.refused(state, rest, left, cost, source)
    if (consume) state.current += cost
    return decisionOf(true, this.limit, left - cost, 0, rest + this.window, 0, source)
  }

  private refused(
    state: SlidingWindowState,
    rest: number,
    left: number,
    cost: number,
    source: DecisionSource,
  ): Decision {
    const reset = this.reset(state, rest)
    if (cost > this.limit) return refusal(left, this.limit, Infinity, reset, source, 'cost')
    return refusal(left, this.limit, this.retry(state, rest, cost), reset, source, 'limit')
  }

  private reset(state: SlidingWindowState, rest: number): number {
    if (state.current > 0) return rest + this.window
    return state.previous > 0 ? rest : 0
  }

  /**
   * The wait until weight × count ≤ what the cost leaves, in this window (the previous count fades) or in the next (the
   * current one does): a count p weighs at most m from window − ⌊m · window ÷ p⌋ on.
   */
  private retry(state: SlidingWindowState, rest: number, cost: number): number {
    const room = this.limit - state.current - cost
    if (room >= 0) return rest - mulDiv(room, this.window, state.previous)
    const next = Math.max(0, this.window - mulDiv(this.limit - cost, this.window, state.current))
    return rest + next
  }

  settle(state: SlidingWindowState, now: number, behind: number, cost: number): void {
    this.roll(state, now)
    if (behind === 0) state.current += cost
    else if (behind === 1) state.previous += cost
  }

  refund(state: SlidingWindowState, now: number, behind: number, cost: number): number {
    this.roll(state, now)
    const back = Math.min(cost, behind === 0 ? state.current : state.previous)
    if (behind === 0) state.current -= back
    else state.previous -= back
    return back
  }

  usage(state: SlidingWindowState, now: number): number {
    this.roll(state, now)
    return state.current + this.weighted(state, this.rest(state, now))
  }

  flow(state: SlidingWindowState, now: number): number {
    this.roll(state, now)
    return state.previous / this.window
  }

  endsAt(state: SlidingWindowState): number {
    return this.slices.end(state.slice + 1)
  }

  save(state: SlidingWindowState, numbers: Numbers): void {
    numbers.a = this.slices.end(state.slice)
    numbers.b = state.current
    numbers.c = state.previous
  }

  load(state: SlidingWindowState, numbers: Numbers): void {
    state.slice = this.slices.endingAt(numbers.a)
    state.current = numbers.b
    state.previous = numbers.c
  }

  share(nodes: number): SlidingWindow {
    return new SlidingWindow(Math.max(1, Math.floor(this.limit / nodes)), this.window)
  }

  with([limit, window]: readonly [number, number]): SlidingWindow {
    return new SlidingWindow(limit, window)
  }
}

/**
 * At most `limit` in a window that slides: the count of the current window plus that of the one before, weighted
 * by the share of it that the last `window` milliseconds still cover. Two numbers per key; exact when traffic
 * within a window is even. The best balance for most APIs.
 *
 * @param numbers `limit`: an integer from 1 to 2^31 − 1; `window`: a {@link Duration} from 1 ms to 730 days
 * @throws ConfigError `ERR_LIMIT` or `ERR_DURATION`
 * @example
 * ```ts
 * import { slidingWindow } from '@spillway/core'
 *
 * const thousandAMinute = slidingWindow({ limit: 1000, window: '1m' })
 * ```
 */
export function slidingWindow(numbers: { limit: number; window: Duration }): Limit {
  checkNumbers(numbers, ['limit', 'window'], "slidingWindow({ limit: 100, window: '1m' })")
  checkCount(numbers.limit, 'slidingWindow: limit')
  return new SlidingWindow(numbers.limit, durationMs(numbers.window, 'slidingWindow: window'))
}
