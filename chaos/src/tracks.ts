import type { Track } from './node/job.ts'

/** Longer than any run, so that all admissions of a case are in one window, and can be compared to the last unit. */
const ONE_WINDOW = 365 * 24 * 3_600_000
/** Short enough for windows to end while a fault lasts. */
const SHORT_WINDOW = 2000
/** Less than what is asked of a steady key in such a window. */
const SHORT_LIMIT = 40
export const LIMIT = 1000

/** The tracks that every fault hits: each node has a limiter for each. */
export const tracks: readonly Track[] = [
  ...(['deny', 'throw', 'allow', 'local'] as const).flatMap((onOutage): Track[] => [
    { label: `hard ${onOutage}`, mode: 'hard', onOutage, limit: LIMIT, window: ONE_WINDOW },
    { label: `soft ${onOutage}`, mode: 'soft', onOutage, limit: LIMIT, window: ONE_WINDOW },
  ]),
  { label: 'soft short', mode: 'soft', onOutage: 'local', limit: LIMIT, window: SHORT_WINDOW },
  {
    label: 'capped deny',
    mode: 'soft',
    maxOvershoot: 0.05,
    onOutage: 'deny',
    limit: LIMIT,
    window: ONE_WINDOW,
  },
  { label: 'leased deny', mode: 'leased', onOutage: 'deny', limit: LIMIT, window: ONE_WINDOW },
  // Its leases end while a node is paused.
  { label: 'leased short', mode: 'leased', onOutage: 'deny', limit: SHORT_LIMIT, window: SHORT_WINDOW },
]

/** What the smoke list runs: the default of each mode. */
export const smokeTracks = tracks.filter(({ label }) =>
  ['hard deny', 'soft local', 'capped deny', 'leased deny'].includes(label),
)

/** Usage never passes this in any fault in which Redis keeps its writes. Undefined: no bound, as in plain soft mode. */
export function strictBound({ mode, maxOvershoot, limit, onOutage }: Track): number | undefined {
  if (onOutage !== 'deny' && onOutage !== 'throw') return undefined
  if (mode === 'soft')
    return maxOvershoot === undefined ? undefined : limit + Math.floor(maxOvershoot * limit)
  return limit
}
