import { expect, test } from 'vitest'
import { drawPanels } from './panels.ts'

test('each panel has its axes and a line for each of its lines', async () => {
  const lines = ['floor', 'soft'].flatMap((line) => [1, 10].map((at) => ({ line, at, value: at })))
  const svg = await drawPanels([
    { axis: 'keys', measure: 'ns', points: lines },
    { axis: 'nodes', measure: 'µs', points: lines.filter(({ line }) => line === 'soft') },
  ])
  expect(svg).toMatch(/^<svg /)
  expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(3)
  for (const text of ['keys', 'ns', 'nodes', 'µs', 'floor', 'soft']) expect(svg).toContain(text)
})
