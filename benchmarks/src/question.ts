/** What one process of a contender measured, by the measure's name and unit, such as `ns a check`. */
export type Measures = Readonly<Record<string, number>>

/** What a contender's process is given. */
export interface Given {
  /** A Redis of the round's own. */
  readonly redisUrl: string
  /** Parts of the usual amount of work, to have a quick look: 1, or less. */
  readonly share: number
}

export interface Contender {
  readonly name: string
  /** Runs in a process of its own. Throws where what it measured did not decide as it must. */
  run(given: Given): Promise<Measures>
}

/** What must be reached: a ratio to another contender of the same round, or a plain figure. */
export interface Target {
  readonly measure: string
  readonly ours: string
  readonly to?: string
  readonly atLeast?: number
  readonly atMost?: number
}

/** Contenders that do the same work and so can be compared. */
export interface Case {
  readonly name: string
  readonly contenders: readonly Contender[]
  readonly targets: readonly Target[]
  /** Whether a round needs a Redis. */
  readonly redis?: boolean
}

/** One file per question. */
export interface Question {
  readonly name: string
  readonly title: string
  /** Where each round would measure the same, since nothing but the seed decides; otherwise as asked. */
  readonly rounds?: 1
  readonly cases: readonly Case[]
}
