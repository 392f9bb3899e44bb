import type { Duration } from '../../duration.ts'
import { checkNumbers, type Limit } from '../algorithm.ts'
import { bucket } from '../bucket.ts'

/**
 * Up to `capacity` at once, refilled by `refill` tokens every `per`, continuously. Allows bursts and holds
 * the long-run rate: any stretch τ admits at most capacity + refill × τ ÷ per.
 *
 * @param numbers `capacity`, `refill`: integers from 1 to 2^31 − 1; `per`: a {@link Duration}. The bucket may
 * take at most 730 days to fill.
 * @throws ConfigError `ERR_LIMIT` or `ERR_DURATION`
 * @example
 * ```ts
 * import { tokenBucket } from '@spillway/core'
 *
 * const burstsOf50TenASecond = tokenBucket({ capacity: 50, refill: 10, per: '1s' })
 * ```
 */
export function tokenBucket(numbers: { capacity: number; refill: number; per: Duration }): Limit {
  checkNumbers(numbers, ['capacity', 'refill', 'per'], "tokenBucket({ capacity: 50, refill: 10, per: '1s' })")
  const { capacity, refill, per } = numbers
  return bucket('token-bucket', { capacity, rate: refill, per }, { call: 'tokenBucket', rate: 'refill' })
}
