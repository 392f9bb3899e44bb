import { expect, it } from 'vitest'
import { BOOKING } from '../../test/modes.ts'
import { createLimiter, type LimiterOptions, memoryStore, slidingWindow } from '../index.ts'
import { ManualClock, seededRandom } from '../testing.ts'

it.each(
  (['capped', 'leased'] as const).flatMap((mode) =>
    (['several limits', 'spike'] as const).map((kind) => [mode, kind] as const),
  ),
)(
  '%s, %s: a cost above the limit that the program tells passes where the store has a higher one',
  async (mode, kind) => {
    const clock = new ManualClock(1_000_020_000)
    const hour = slidingWindow({ limit: 1000, window: '1h' })
    const of = (limit: number) => {
      const minute = slidingWindow({ limit, window: '1m' })
      return kind === 'spike' ? minute : [minute, hour]
    }
    const store = memoryStore({ clock })
    const spike = kind === 'spike' ? { spike: { extra: 10, per: '1h' } } : {}
    const random = seededRandom(1)
    const node = () =>
      createLimiter({
        name: 'api',
        limit: of(30),
        store,
        clock,
        random,
        ...BOOKING[mode],
        ...spike,
      } as LimiterOptions)
    const first = node()
    await first.setLimit(of(100) as never)
    const later = node()
    expect(await later.check('a', { cost: 50 })).toMatchObject({ allowed: true })
    await Promise.all([first.close(), later.close()])
  },
)
