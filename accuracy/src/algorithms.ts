import { fixedWindow, type Limit, leakyBucket, slidingLog, slidingWindow, tokenBucket } from '@spillway/core'
import type { Scenario } from './scenarios.ts'

/** Each algorithm with a scenario's numbers: a bucket refills one limit in a window. */
export const algorithms = {
  'fixed-window': ({ limit, window }: Scenario) => fixedWindow({ limit, window }),
  'sliding-window': ({ limit, window }: Scenario) => slidingWindow({ limit, window }),
  'sliding-log': ({ limit, window }: Scenario) => slidingLog({ limit, window }),
  'token-bucket': ({ limit, window }: Scenario) =>
    tokenBucket({ capacity: limit, refill: limit, per: window }),
  'leaky-bucket': ({ limit, window }: Scenario) => leakyBucket({ capacity: limit, leak: limit, per: window }),
} satisfies Record<string, (scenario: Scenario) => Limit>

export type AlgorithmName = keyof typeof algorithms

export const algorithmNames = Object.keys(algorithms) as AlgorithmName[]
