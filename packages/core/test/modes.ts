/** The modes in which nodes book quota, with what makes a limiter one of them. */
export const BOOKING = {
  capped: { mode: 'soft', sync: { maxOvershoot: 0.05 } },
  leased: { mode: 'leased' },
} as const

/** The modes in which RAM decides. */
export const LOCAL = { soft: { mode: 'soft' }, ...BOOKING } as const
