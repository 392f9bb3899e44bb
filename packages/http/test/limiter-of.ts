import { createLimiter, fixedWindow, type Mode } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'

/** So many an hour, by a clock that stands still. */
export function limiterOf(mode: Mode = 'soft', limit = 1, name = 'api') {
  return createLimiter({ name, mode, clock: new ManualClock(0), limit: fixedWindow({ limit, window: '1h' }) })
}
