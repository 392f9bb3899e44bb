/** What one process of a contender measured, by the measure's name and unit, such as `ns a check`. */
export type Measures = Readonly<Record<string, number>>

/** What a contender's process is given. */
export interface Given {
  /** A Redis of the contender's own. */
  readonly redisUrl: string
  /** The part of the usual amount of work to do: 1, or less for a quick look. */
  readonly share: number
  /** Measures whenever it is this contender's turn; resolves when it has had its last turn. */
  turns(measure: () => Promise<Measures>): Promise<void>
}

/** Measures that the pages compare as well. */
export const TIME = 'ns a check'
export const RATE = 'checks a second'

export interface Contender {
  readonly name: string
  /**
   * Runs in a process of its own. Throws if what it measured did not decide as it must.
   *
   * @returns what it measured, unless it did so in `turns`
   */
  run(given: Given): Promise<Measures | undefined>
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
  /** Whether a contender needs a Redis. */
  readonly redis?: boolean
  /**
   * How many turns each contender has in a round, during which all their processes live, and wait while another has its
   * turn. Undefined: a round is one process after the other.
   */
  readonly turns?: number
}

/** One file per question. */
export interface Question {
  readonly name: string
  readonly title: string
  /** 1 if each round would measure the same, since only the seed decides; otherwise as many rounds as asked for. */
  readonly rounds?: 1
  readonly cases: readonly Case[]
}
