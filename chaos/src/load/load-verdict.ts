import type { Claim } from '../judge.ts'

/** The outcome of a heavy load. */
export interface LoadVerdict {
  readonly name: string
  readonly title: string
  readonly figures: Readonly<Record<string, number>>
  readonly claims: readonly Claim[]
}
