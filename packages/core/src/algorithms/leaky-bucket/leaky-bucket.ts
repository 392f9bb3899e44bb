import type { Duration } from '../../duration.ts'
import { checkNumbers, type Limit } from '../algorithm.ts'
import { bucket } from '../bucket.ts'

/**
 * Smooth output: a queue of at most `capacity` that leaks `leak` every `per`. A check is admitted if
 * backlog + cost ≤ capacity; its decision carries `delayMs`, the backlog before it ÷ leak, after which to
 * proceed (`acquire` waits for it). In soft mode each node paces by its own view.
 *
 * @param numbers `capacity`, `leak`: integers from 1 to 2^31 − 1; `per`: a {@link Duration}. The bucket may
 * take at most 730 days to drain.
 * @throws ConfigError `ERR_LIMIT` or `ERR_DURATION`
 * @example
 * ```ts
 * import { leakyBucket } from '@spillway/core'
 *
 * const fiveASecondQueueOf20 = leakyBucket({ capacity: 20, leak: 5, per: '1s' })
 * ```
 */
export function leakyBucket(numbers: { capacity: number; leak: number; per: Duration }): Limit {
  checkNumbers(numbers, ['capacity', 'leak', 'per'], "leakyBucket({ capacity: 20, leak: 5, per: '1s' })")
  const { capacity, leak, per } = numbers
  return bucket('leaky-bucket', { capacity, rate: leak, per }, { call: 'leakyBucket', rate: 'leak' })
}
