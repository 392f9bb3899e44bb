import type { Verdict } from './judge.ts'
import type { LoadVerdict } from './load/load-verdict.ts'
import type { SmokeResult } from './smoke/run-smoke.ts'

/** What a whole run of the suite came to. */
export interface Result {
  readonly verdicts: readonly Verdict[]
  readonly smoke: readonly SmokeResult[]
  readonly load: readonly LoadVerdict[]
  /** What did not hold, or could not be run. */
  readonly failed: readonly string[]
}

/** Where something was measured, and when. */
export interface Origin {
  readonly machine: string
  readonly date: string
}

/** A result as `chaos/results/chaos.json` holds it. */
export interface Measured extends Result, Origin {}

/** What happened between two faults of a soak, and what came of it. */
export interface Round {
  readonly second: number
  readonly fault: string
  readonly verdict: Verdict
  /** Of each node, in the quiet at its end. */
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
