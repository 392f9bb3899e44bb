import type { Verdict } from './judge.ts'
import type { LoadVerdict } from './load/load-verdict.ts'
import type { SmokeResult } from './smoke/run-smoke.ts'

/** The result of a whole run of the suite. */
export interface Result {
  readonly verdicts: readonly Verdict[]
  readonly smoke: readonly SmokeResult[]
  readonly load: readonly LoadVerdict[]
  /** The cases that did not hold, or could not be run. */
  readonly failed: readonly string[]
}

/** Where something was measured, and when. */
export interface Origin {
  readonly machine: string
  readonly date: string
}

/** A result as `chaos/results/chaos.json` holds it. */
export interface Measured extends Result, Origin {}

/** One fault of a soak, and the verdict on it. */
export interface Round {
  readonly second: number
  readonly fault: string
  readonly verdict: Verdict
  /** Each node's heap, in the quiet at the round's end. */
  readonly heapMb: readonly number[]
}

/** A soak as `chaos/results/soak.json` holds it. */
export interface Soak extends Origin {
  readonly minutes: number
  /** Seconds from one fault to the next, at least. */
  readonly every: number
  readonly seed: number
  readonly rounds: readonly Round[]
}
