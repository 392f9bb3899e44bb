import { type Decision, type DecisionSource, decisionOf, refusal } from '../decision.ts'
import { durationMs, LONGEST_DURATION } from '../duration.ts'
import { ConfigError, show } from '../errors.ts'
import { type Algorithm, type AlgorithmName, checkCount, type Numbers } from './algorithm.ts'
import { commonDivisor, divide, divideUp, mulDiv, mulDivUp, mulLessDivUp, mulMod } from './arithmetic.ts'
import { Cells } from './cells.ts'

/** Milliseconds of an era. */
const ERA = 2 ** 30
/** Milliseconds: a longer drain is told as this, so that no time passes 2^53. */
const LONGEST_DRAIN = 2 ** 52
/** Up to this, whole numbers are exact. */
const MOST = Number.MAX_SAFE_INTEGER

/**
 * What is used of a bucket at a moment: `used` − `drained` ÷ `per`, exactly. It may be more than the capacity
 * (debt). Written down as: a = the moment, b = used, c = drained.
 */
export class BucketState {
  /** The moment, as two small integers: as one number it would lie on the heap by itself, made anew at each check. */
  private era = 0
  private rest = 0
  /** Whole tokens used. */
  used = 0
  private drainedOf = 0

  /** What has drained of the last token, in units of 1/per; below `per`. */
  get drained(): number {
    return this.drainedOf
  }

  /** A small integer if it can be: a field that has once held a computed double keeps its numbers on the heap. */
  set drained(whole: number) {
    this.drainedOf = Math.floor(whole)
  }

  get moment(): number {
    return this.era * ERA + this.rest
  }

  set moment(time: number) {
    this.era = (time / ERA) | 0
    this.rest = (time - this.era * ERA) | 0
  }
}

/** A state of either class. */
type State = Pick<BucketState, 'moment' | 'used' | 'drained'>

class BucketCells extends Cells implements State {
  get moment(): number {
    return this.numbers[this.at] as number
  }

  set moment(number: number) {
    this.numbers[this.at] = number
  }

  get used(): number {
    return this.numbers[this.at + 1] as number
  }

  set used(number: number) {
    this.numbers[this.at + 1] = number
  }

  get drained(): number {
    return this.numbers[this.at + 2] as number
  }

  set drained(number: number) {
    this.numbers[this.at + 2] = number
  }

  clear(): void {
    this.moment = 0
    this.used = 0
    this.drained = 0
  }
}

/** Token and leaky bucket keep the same account; the leaky one also says how long to wait. */
export class Bucket implements Algorithm<State> {
  readonly lateSlices = 1
  readonly parameters: readonly number[]
  readonly window: number
  /** The greatest common divisor of rate and `per`. */
  private readonly common: number

  constructor(
    readonly algorithm: AlgorithmName,
    readonly limit: number,
    /** Tokens that drain in `per` milliseconds. */
    private readonly rate: number,
    private readonly per: number,
    private readonly paced: boolean,
  ) {
    this.window = mulDivUp(limit, per, rate)
    this.parameters = [limit, this.window, rate, per]
    this.common = commonDivisor(rate, per)
  }

  create(): BucketState {
    return new BucketState()
  }

  cells(): BucketCells {
    return new BucketCells()
  }

  /**
   * Lets time pass since the state's moment; returns how many milliseconds that is ahead of now. Takes the difference of
   * two times, and never returns −0: where V8 calls it, other numbers than small integers would be made objects.
   */
  private drain(state: State, elapsed: number): number {
    if (elapsed <= 0) return elapsed < 0 ? -elapsed : 0
    state.moment += elapsed
    if (state.used > 0) this.drainFor(state, elapsed)
    return 0
  }

  private drainFor(state: State, elapsed: number): void {
    const flown = elapsed * this.rate + state.drained
    if (flown < this.per) state.drained = flown
    else this.drainWhole(state, elapsed, flown)
  }

  /** Drains `flown` parts, at least one token. Apart, since V8 inlines only so much code into a check. */
  private drainWhole(state: State, elapsed: number, flown: number): void {
    if (flown <= MOST) {
      const whole = divide(flown, this.per)
      state.used -= whole
      state.drained = flown - whole * this.per
    } else {
      const part = mulMod(elapsed, this.rate, this.per) + state.drained
      const carry = part >= this.per ? 1 : 0
      state.used -= mulDiv(elapsed, this.rate, this.per) + carry
      state.drained = part - carry * this.per
    }
    if (state.used <= 0) {
      state.used = 0
      state.drained = 0
    }
  }

  /** Milliseconds until no more than `used` − `tokens` are used. */
  private timeToDrain(state: State, tokens: number): number {
    if (tokens <= 0) return 0
    const product = tokens * this.per
    if (product > MOST) return this.longTimeToDrain(state, tokens)
    return Math.min(LONGEST_DRAIN, divideUp(product - state.drained, this.rate))
  }

  /** As above; apart, as `drainWhole` is. */
  private longTimeToDrain({ drained }: State, tokens: number): number {
    const { per, rate, common } = this
    return Math.min(LONGEST_DRAIN, mulLessDivUp(tokens, per, drained, rate, common))
  }

  take(state: State, now: number, cost: number, source: DecisionSource, consume: boolean): Decision {
    const behind = this.drain(state, now - state.moment)
    const { used } = state
    const left = this.limit - used
    if (cost > left) return this.refused(state, behind, left, cost, source)
    const delay = this.paced ? behind + this.timeToDrain(state, used) : 0
    const reset = behind + this.timeToDrain(state, used + cost)
    if (consume) state.used = used + cost
    return decisionOf(true, this.limit, left - cost, 0, reset, delay, source)
  }

  private refused(
    state: State,
    behind: number,
    left: number,
    cost: number,
    source: DecisionSource,
  ): Decision {
    const reset = state.used > 0 ? behind + this.timeToDrain(state, state.used) : 0
    if (cost > this.limit) return refusal(left, this.limit, Infinity, reset, source, 'cost')
    const retry = behind + this.timeToDrain(state, cost - left)
    return refusal(left, this.limit, retry, reset, source, 'limit')
  }

  settle(state: State, now: number, _behind: number, cost: number): void {
    this.drain(state, now - state.moment)
    state.used += cost
  }

  /** What was taken at `at` has drained since then, but only once what was in use beside it had. */
  refund(
    state: State,
    now: number,
    _behind: number,
    cost: number,
    at = now,
    beside = 0,
    rate = this.rate,
  ): number {
    this.drain(state, now - state.moment)
    const elapsed = Math.max(0, now - at)
    const whole = mulDiv(elapsed, rate, this.per) - beside
    const part = whole < 0 ? 0 : mulMod(elapsed, rate, this.per)
    const back = cost - Math.max(0, whole)
    if (back <= 0) return 0
    const { used } = state
    // The part of its last token that has drained does not go back.
    const borrowed = part > state.drained ? 1 : 0
    state.used -= back - borrowed
    state.drained = state.drained + borrowed * this.per - part
    if (state.used <= 0) {
      state.used = 0
      state.drained = 0
    }
    return Math.min(back, used)
  }

  usage(state: State, now: number): number {
    this.drain(state, now - state.moment)
    return state.used
  }

  flow(state: State): number {
    return state.used > 0 ? this.rate / this.per : 0
  }

  endsAt(state: State): number {
    return state.moment + this.timeToDrain(state, state.used)
  }

  save(state: State, numbers: Numbers): void {
    numbers.a = state.moment
    numbers.b = state.used
    numbers.c = state.drained
  }

  load(state: State, numbers: Numbers): void {
    state.moment = numbers.a
    state.used = Math.floor(numbers.b)
    state.drained = numbers.c
  }

  share(nodes: number): Bucket {
    const limit = Math.max(1, Math.floor(this.limit / nodes))
    const per = this.per * nodes
    if (per <= LONGEST_DURATION) return new Bucket(this.algorithm, limit, this.rate, per, this.paced)
    // so long a time is beyond the arithmetic: fewer tokens in the longest one instead
    const rate = Math.ceil(this.rate * (LONGEST_DURATION / per))
    return new Bucket(this.algorithm, limit, rate, LONGEST_DURATION, this.paced)
  }

  with([limit, , rate, per]: readonly [number, number, number, number]): Bucket {
    return new Bucket(this.algorithm, limit, rate, per, this.paced)
  }
}

/**
 * Validates a bucket's numbers.
 *
 * @throws ConfigError `ERR_LIMIT` or `ERR_DURATION`
 */
export function bucket(
  algorithm: AlgorithmName,
  numbers: { capacity: number; rate: number; per: number | string },
  names: { call: string; rate: string },
): Bucket {
  const { capacity, rate } = numbers
  checkCount(capacity, `${names.call}: capacity`)
  checkCount(rate, `${names.call}: ${names.rate}`)
  const per = durationMs(numbers.per, `${names.call}: per`)
  if (mulDivUp(capacity, per, rate) > LONGEST_DURATION) {
    throw new ConfigError(
      'ERR_LIMIT',
      `${names.call}: a capacity of ${show(capacity)} at ${show(rate)} per ${show(numbers.per)} takes over 730 days to drain: lower the capacity or raise ${names.rate}`,
    )
  }
  return new Bucket(algorithm, capacity, rate, per, algorithm === 'leaky-bucket')
}
