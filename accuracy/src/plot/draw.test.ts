import { expect, test } from 'vitest'
import { draw } from './draw.ts'

test('a plot has a line for each variant, and says what its axes are', async () => {
  const points = ['soft', 'leased'].flatMap((variant) =>
    [10, 100].map((interval) => ({ interval, variant, overshoot: variant === 'soft' ? interval / 10 : 0 })),
  )
  const svg = await draw(points)
  expect(svg).toMatch(/^<svg /)
  expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(2)
  for (const text of ['interval, ms', 'mean overshoot, % of the limit', 'soft', 'leased'])
    expect(svg).toContain(text)
})
