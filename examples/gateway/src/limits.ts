import { createLimiter, type Mode, slidingLog } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'

/** Each mode has a limit of its own, behind a path of its own: `/hard`, `/soft`, `/leased`. */
export const MODES: readonly Mode[] = ['hard', 'soft', 'leased']

/** A log is exact in any stretch of the window: there is no boundary at which a test could see two quotas. */
export const LIMIT = slidingLog({ limit: 200, window: '10m' })

/** How long a soft node's admissions stay unknown to the others, in milliseconds. */
export const SYNC_INTERVAL_MS = 100

export const limiterName = (mode: Mode) => `gateway-${mode}`

/** The limiters of one gateway over one Redis, by their paths. */
export function createLimits(redisUrl: string) {
  const store = redisStore(redisUrl)
  // Long, as nothing here is to be answered by `onOutage` since the machine is busy.
  const timeout = '5s'
  const entries = MODES.map((mode) => {
    const limiter = createLimiter({
      ...{ name: limiterName(mode), limit: LIMIT, mode, store, timeout },
      ...(mode === 'hard' ? {} : { sync: { interval: SYNC_INTERVAL_MS } }),
    })
    return [`/${mode}`, limiter] as const
  })
  return Object.fromEntries(entries)
}
