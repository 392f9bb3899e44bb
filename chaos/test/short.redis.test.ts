import { expect, test } from 'vitest'
import { fromSources } from '../src/program.ts'
import { printSmoke } from '../src/report.ts'
import { runSmoke } from '../src/smoke/run-smoke.ts'
import { smokeTracks } from '../src/tracks.ts'

// `npm run chaos` lets more break, for longer, on more servers, and looks at times as well.

test('after faults of a real server under load, everything adds up to the last unit', async () => {
  const setting = { name: 'short', server: 'redis', client: 'ioredis', how: 'redis' } as const
  const result = await runSmoke(setting, smokeTracks, fromSources, /flushall|primary-killed/)
  printSmoke(result)
  const { verdicts } = result
  expect(verdicts).toHaveLength(2)
  for (const { fault, claims, outcomes } of verdicts) {
    for (const { track, admitted } of outcomes) expect(admitted, `${fault}, ${track}`).toBeGreaterThan(0)
    const all = [...claims, ...outcomes.flatMap((outcome) => outcome.claims)].filter(({ counts }) => counts)
    expect(all.length).toBeGreaterThanOrEqual(8)
    expect(all.filter(({ holds }) => !holds)).toEqual([])
  }
})
