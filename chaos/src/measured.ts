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

/** A result as `chaos/results/chaos.json` holds it. */
export interface Measured extends Result {
  readonly machine: string
  readonly date: string
}
