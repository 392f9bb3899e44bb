import { type Decision, type DecisionSource, decisionOf, refusal } from '../../decision.ts'
import { type Duration, durationMs } from '../../duration.ts'
import { type Algorithm, checkCount, checkNumbers, type Limit, type Numbers } from '../algorithm.ts'
import { Cells } from '../cells.ts'
import { Slices } from '../slices.ts'

/** Written down as: a = end, b = count. */
export class FixedWindowState {
  /** The window's number. */
  slice = -1
  count = 0
}

class FixedWindowCells extends Cells implements FixedWindowState {
  get slice(): number {
    return this.numbers[this.at] as number
  }

  set slice(number: number) {
    this.numbers[this.at] = number
  }

  get count(): number {
    return this.numbers[this.at + 1] as number
  }

  set count(number: number) {
    this.numbers[this.at + 1] = number
  }

  clear(): void {
    this.slice = -1
    this.count = 0
  }
}

class FixedWindow implements Algorithm<FixedWindowState> {
  readonly algorithm = 'fixed-window'
  readonly lateSlices = 0
  readonly parameters: readonly number[]
  private readonly slices: Slices

  constructor(
    readonly limit: number,
    readonly window: number,
  ) {
    this.parameters = [limit, window]
    this.slices = new Slices(window)
  }

  create(): FixedWindowState {
    return new FixedWindowState()
  }

  cells(): FixedWindowCells {
    return new FixedWindowCells()
  }

  private roll(state: FixedWindowState, now: number): void {
    const slice = this.slices.at(now)
    if (slice > state.slice) this.begin(state, slice)
  }

  private begin(state: FixedWindowState, slice: number): void {
    state.slice = slice
    state.count = 0
  }

  take(
    state: FixedWindowState,
    now: number,
    cost: number,
    source: DecisionSource,
    consume: boolean,
  ): Decision {
    this.roll(state, now)
    const left = this.limit - state.count
    const reset = this.slices.end(state.slice) - now
    if (cost > left) return this.refused(left, cost, reset, source)
    if (consume) state.count += cost
    return decisionOf(true, this.limit, left - cost, 0, reset, 0, source)
  }

  private refused(left: number, cost: number, reset: number, source: DecisionSource): Decision {
    if (cost <= this.limit) return refusal(left, this.limit, reset, reset, source, 'limit')
    return refusal(left, this.limit, Infinity, left < this.limit ? reset : 0, source, 'cost')
  }

  settle(state: FixedWindowState, now: number, _behind: number, cost: number): void {
    this.roll(state, now)
    state.count += cost
  }

  refund(state: FixedWindowState, now: number, _behind: number, cost: number): number {
    this.roll(state, now)
    const back = Math.min(cost, state.count)
    state.count -= back
    return back
  }

  usage(state: FixedWindowState, now: number): number {
    this.roll(state, now)
    return state.count
  }

  flow(): number {
    return 0
  }

  endsAt(state: FixedWindowState): number {
    return this.slices.end(state.slice)
  }

  save(state: FixedWindowState, numbers: Numbers): void {
    numbers.a = this.slices.end(state.slice)
    numbers.b = state.count
  }

  load(state: FixedWindowState, numbers: Numbers): void {
    state.slice = this.slices.endingAt(numbers.a)
    state.count = numbers.b
  }

  share(nodes: number): FixedWindow {
    return new FixedWindow(Math.max(1, Math.floor(this.limit / nodes)), this.window)
  }

  with([limit, window]: readonly [number, number]): FixedWindow {
    return new FixedWindow(limit, window)
  }
}

/**
 * At most `limit` in each window; windows begin at whole multiples of their length since the Unix epoch, by
 * the store's clock. The cheapest; two windows' worth can pass around a boundary.
 *
 * @param numbers `limit`: an integer from 1 to 2^31 − 1; `window`: a {@link Duration} from 1 ms to 730 days
 * @throws ConfigError `ERR_LIMIT` or `ERR_DURATION`
 * @example
 * ```ts
 * import { fixedWindow } from '@spillway/core'
 *
 * const tenThousandADay = fixedWindow({ limit: 10_000, window: '1d' })
 * ```
 */
export function fixedWindow(numbers: { limit: number; window: Duration }): Limit {
  checkNumbers(numbers, ['limit', 'window'], "fixedWindow({ limit: 100, window: '1m' })")
  checkCount(numbers.limit, 'fixedWindow: limit')
  return new FixedWindow(numbers.limit, durationMs(numbers.window, 'fixedWindow: window'))
}
