import { Decision, type DecisionSource, refusal } from '../decision.ts'
import { durationMs, LONGEST_DURATION } from '../duration.ts'
import { ConfigError, show } from '../errors.ts'
import { type Algorithm, type AlgorithmName, checkCount, type Numbers } from './algorithm.ts'
import { mulDiv, mulDivUp, mulMod } from './arithmetic.ts'

/** Milliseconds. */
const ERA = 2 ** 30
/** Milliseconds: what takes longer is told as this, so that no time passes 2^53. */
const LONGEST_DRAIN = 2 ** 52

/**
 * What is used of a bucket at a moment: `used` − `drained` ÷ `per`, exactly. It may be more than the capacity
 * (debt). Written down as: a = the moment, b = used, c = drained.
 */
export class BucketState {
  /** The moment, in two small integers: a time as one number is on the heap by itself, and is made anew at each check. */
  era = 0
  rest = 0
  /** Whole tokens used. */
  used = 0
  /** What has drained of the last token, in units of 1/per; below `per`. */
  drained = 0
}

function momentOf(state: BucketState): number {
  return state.era * ERA + state.rest
}

function setMoment(state: BucketState, time: number): void {
  state.era = (time / ERA) | 0
  state.rest = (time - state.era * ERA) | 0
}

/**
 * A whole number, as a small integer where it is one: a field that has once held the outcome of doubles keeps its
 * numbers on the heap, in all states.
 */
function small(whole: number): number {
  return Math.floor(whole)
}

/** Token and leaky bucket keep the same account; the leaky one also says how long to wait. */
export class Bucket implements Algorithm<BucketState> {
  readonly lateSlices = 1
  readonly parameters: readonly number[]
  readonly window: number

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
  }

  create(): BucketState {
    return new BucketState()
  }

  private drain(state: BucketState, now: number): void {
    const elapsed = now - momentOf(state)
    if (elapsed <= 0) return
    setMoment(state, now)
    if (state.used === 0) return
    const whole = mulDiv(elapsed, this.rate, this.per)
    const part = mulMod(elapsed, this.rate, this.per) + state.drained
    const carry = part >= this.per ? 1 : 0
    state.used -= whole + carry
    state.drained = small(part - carry * this.per)
    if (state.used <= 0) {
      state.used = 0
      state.drained = 0
    }
  }

  /** Milliseconds until no more than `used` − `tokens` are used. */
  private timeToDrain(state: BucketState, tokens: number): number {
    if (tokens <= 0) return 0
    if (state.drained === 0) return Math.min(LONGEST_DRAIN, mulDivUp(tokens, this.per, this.rate))
    // ⌈(tokens·per − drained) ÷ rate⌉, whose product may pass 2^53
    const whole = mulDiv(tokens, this.per, this.rate)
    const rest = mulMod(tokens, this.per, this.rate) - state.drained
    return Math.min(LONGEST_DRAIN, whole + Math.ceil(rest / this.rate))
  }

  take(state: BucketState, now: number, cost: number, source: DecisionSource, consume: boolean): Decision {
    this.drain(state, now)
    const behind = momentOf(state) - now
    const left = this.limit - state.used
    if (cost <= left) {
      const delay = this.paced ? behind + this.timeToDrain(state, state.used) : 0
      const reset = behind + this.timeToDrain(state, state.used + cost)
      if (consume) state.used += cost
      return new Decision(true, this.limit, left - cost, 0, reset, delay, source)
    }
    const reset = state.used > 0 ? behind + this.timeToDrain(state, state.used) : 0
    if (cost > this.limit) return refusal(left, this.limit, Infinity, reset, source, 'cost')
    const retry = behind + this.timeToDrain(state, cost - left)
    return refusal(left, this.limit, retry, reset, source, 'limit')
  }

  settle(state: BucketState, now: number, _behind: number, cost: number): void {
    this.drain(state, now)
    state.used += cost
  }

  /** What was taken at `at` has drained since, but for as long as what was in use beside it did. */
  refund(state: BucketState, now: number, _behind: number, cost: number, at = now, beside = 0): number {
    this.drain(state, now)
    const elapsed = Math.max(0, now - at)
    const whole = mulDiv(elapsed, this.rate, this.per) - beside
    const part = whole < 0 ? 0 : mulMod(elapsed, this.rate, this.per)
    const back = cost - Math.max(0, whole)
    if (back <= 0) return 0
    const { used } = state
    // With it goes a part of a token that has drained.
    const borrowed = part > state.drained ? 1 : 0
    state.used -= back - borrowed
    state.drained = small(state.drained + borrowed * this.per - part)
    if (state.used <= 0) {
      state.used = 0
      state.drained = 0
    }
    return Math.min(back, used)
  }

  usage(state: BucketState, now: number): number {
    this.drain(state, now)
    return state.used
  }

  flow(state: BucketState): number {
    return state.used > 0 ? this.rate / this.per : 0
  }

  endsAt(state: BucketState): number {
    return momentOf(state) + this.timeToDrain(state, state.used)
  }

  save(state: BucketState, numbers: Numbers): void {
    numbers.a = momentOf(state)
    numbers.b = state.used
    numbers.c = state.drained
  }

  load(state: BucketState, numbers: Numbers): void {
    setMoment(state, numbers.a)
    state.used = small(numbers.b)
    state.drained = small(numbers.c)
  }

  share(nodes: number): Bucket {
    const limit = Math.max(1, Math.floor(this.limit / nodes))
    const per = this.per * nodes
    if (per <= LONGEST_DURATION) return new Bucket(this.algorithm, limit, this.rate, per, this.paced)
    // so long a time is beyond the arithmetic: fewer tokens in the longest instead
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
