import { parse } from '@lukeed/ms'
import { ConfigError, show } from './errors.ts'

/** Whole milliseconds ≥ 1, or a string such as `'250ms'`, `'1m'`, `'1h'`, `'365d'`. */
export type Duration = number | string

/** Two years: this keeps every product of a time and a count exact (see `arithmetic.ts`). */
export const LONGEST_DURATION = 730 * 24 * 60 * 60 * 1000

/** A number and a unit; anything else that `parse` would guess at (`'1'`, `'-1s'`, `'1 fortnight'`) is refused. */
const SYNTAX =
  /^\d+(\.\d+)? ?(ms|s|m|h|d|w|msecs?|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?|milliseconds?)$/

/** In doubles 1.001 × 1000 is 1000.9999999999999: a number that is whole but for rounding was meant to be whole. */
function wholeIfMeant(value: number): number {
  const whole = Math.round(value)
  return Math.abs(value - whole) <= 2 * Number.EPSILON * whole ? whole : value
}

/** Milliseconds, or `NaN` if it can't be read. `parse` knows no zero. */
function parsed(text: string): number {
  return SYNTAX.test(text) ? wholeIfMeant(parse(text) ?? NaN) : NaN
}

/**
 * Milliseconds of a duration.
 *
 * @param what names the value in the error message
 * @throws ConfigError `ERR_DURATION` where it is not between 1 ms and 730 d in whole milliseconds
 */
export function durationMs(duration: Duration, what: string): number {
  const value = typeof duration === 'string' ? parsed(duration) : duration
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > LONGEST_DURATION) {
    throw new ConfigError(
      'ERR_DURATION',
      `${what} is ${show(duration)}: give whole milliseconds from 1 to ${LONGEST_DURATION} (730 days), or a string such as '250ms', '1m', '1h' or '365d'`,
    )
  }
  return value
}
