import type { Load, Slice } from './measure.ts'

/** What a run measured: `results/cost.json`. */
export interface Result {
  readonly date: string
  readonly machine: {
    readonly cpu: string
    readonly cpus: number
    readonly node: string
    readonly system: string
  }
  readonly load: Load
  readonly rounds: number
  /** Versions of what was compared. */
  readonly versions: Readonly<Record<string, string>>
  readonly contenders: readonly {
    readonly framework: string
    readonly limit: string
    readonly slices: readonly Slice[]
  }[]
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2
}
